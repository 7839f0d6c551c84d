// iisreset.exe of a simulated server: restarts nothing, but leaves a line, so that restarts can be counted.
// Arguments: the program's own path, then what it was started with. A file iisreset.exit beside the log decides its exit code.
var files = new ActiveXObject("Scripting.FileSystemObject");
var words = ["iisreset"];
for (var i = 1; i < WScript.Arguments.length; i++) words.push(WScript.Arguments.Item(i));
var log = files.OpenTextFile("C:\\windows\\lab\\programs.log", 8, true);
log.WriteLine(words.join(" "));
log.Close();
var code = 0;
if (files.FileExists("C:\\windows\\lab\\iisreset.exit")) {
    var file = files.OpenTextFile("C:\\windows\\lab\\iisreset.exit", 1);
    code = parseInt(file.ReadLine(), 10);
    file.Close();
}
WScript.Quit(code);
