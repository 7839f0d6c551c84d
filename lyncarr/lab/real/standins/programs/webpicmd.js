// WebpiCmd of a simulated server: "/Install /Products:ID /AcceptEula /SuppressReboot /Log:FILE [/XML:LIST]" over a product list in the form
// of WebPI's own, Atom with an entry a product, whose installer it gives to msiexec. Without /XML it asks an address where nobody answers.
// C:\windows\lab\webpi.txt, one word, says what else happens: "hangs", "quiet" (ends with 0 whatever became of it), "restart".
var files = new ActiveXObject("Scripting.FileSystemObject");
var shell = new ActiveXObject("WScript.Shell");
var given = {};
for (var i = 1; i < WScript.Arguments.length; i++) {
    var parts = /^\/([A-Za-z]+):?(.*)$/.exec(WScript.Arguments.Item(i));
    if (!parts) WScript.Quit(87);
    given[parts[1].toLowerCase()] = parts[2];
}
var how = "";
if (files.FileExists("C:\\windows\\lab\\webpi.txt")) {
    var file = files.OpenTextFile("C:\\windows\\lab\\webpi.txt", 1);
    how = file.ReadLine();
    file.Close();
}

function say(text) {
    var log = files.OpenTextFile(given.log, 8, true);
    log.WriteLine("WebPiCmd Information: 0 : " + text);
    log.WriteLine("DateTime=2026-01-01T00:00:00.0000000Z");
    log.Close();
}

function end(code, text) {
    say(text);
    WScript.Quit(how == "quiet" ? 0 : code);
}

function child(parent, tag) {
    return parent.getElementsByTagName(tag).item(0);
}

if (!("install" in given && "accepteula" in given && "suppressreboot" in given)) WScript.Quit(87);
say("Command line: " + given.products + " from " + given.xml);
// WScript.Sleep does nothing on Wine.
if (how == "hangs") shell.Run("ping.exe -n 600 127.0.0.1", 0, true);
var list = new ActiveXObject("Msxml2.DOMDocument.3.0");
list.async = false;
if (!list.load(given.xml || "https://127.0.0.1:9/WebProductList.xml")) end(-1, "The product list could not be loaded.");
var entries = list.getElementsByTagName("entry");
for (var n = 0; n < entries.length; n++) {
    if (child(entries.item(n), "productId").text != given.products) continue;
    var code = shell.Run('msiexec.exe /i "' + child(entries.item(n), "installerURL").text + '" /qn /norestart', 0, true);
    if (how == "restart") shell.RegWrite("HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\RebootPending\\", "");
    end(code == 3010 ? 0 : code, "Install of Products: " + (code == 0 || code == 3010 ? "SUCCESS" : "FAILURE"));
}
end(-1, "No product " + given.products + " is in the list.");
