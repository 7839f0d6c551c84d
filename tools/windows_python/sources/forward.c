/* python3.dll: only a table of exports that lead to python311.dll. */
int __stdcall DllMain(void *library, unsigned reason, void *reserved)
{
    return 1;
}
