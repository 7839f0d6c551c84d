# Compiles the stand-in for Microsoft.Web.Administration into an assembly.
param([string]$Source, [string]$Assembly)
$ErrorActionPreference = 'Stop'
Add-Type -Path $Source -OutputAssembly $Assembly
