// netsh.exe of a simulated server: "http show sslcert [ipport=|hostnameport=]" over the records that Iis.cs keeps for HTTP.sys,
// in the layout of the English Windows. Exit code 1 where a record was asked for that is not there, and for anything else.
var words = [];
for (var i = 1; i < WScript.Arguments.length; i++) words.push(WScript.Arguments.Item(i));
if (words.slice(0, 3).join(" ").toLowerCase() != "http show sslcert") WScript.Quit(1);
var wanted = words.length > 3 ? words[3].split("=")[1].toLowerCase() : "";

var files = new ActiveXObject("Scripting.FileSystemObject");
var path = "C:\\windows\\system32\\inetsrv\\config\\httpsys.txt";
var records = [];
if (files.FileExists(path)) {
    var file = files.OpenTextFile(path, 1);
    while (!file.AtEndOfStream) {
        var record = file.ReadLine().split(" ");
        if (record.length >= 3 && (wanted == "" || record[0].toLowerCase() == wanted)) records.push(record);
    }
    file.Close();
}
WScript.Echo("\nSSL Certificate bindings:\n-------------------------\n");
for (var n = 0; n < records.length; n++) {
    var kind = /^([0-9.]+|\[.*\]):[0-9]+$/.test(records[n][0]) ? "IP:port      " : "Hostname:port";
    WScript.Echo("    " + kind + "                : " + records[n][0]);
    WScript.Echo("    Certificate Hash             : " + records[n][1].toLowerCase());
    WScript.Echo("    Application ID               : {4dc3e181-e14b-4a21-b022-59fc669b0914}");
    WScript.Echo("    Certificate Store Name       : " + records[n][2] + "\n");
}
WScript.Quit(wanted != "" && records.length == 0 ? 1 : 0);
