// Custom action of the stand-in packages: puts what PACKAGE lists (the text of config/package-*.xml, laid before this one when the
// package is built) into applicationHost.config, where the real packages use IIS' own configuration library.

function openXml() {
    var document = new ActiveXObject("Msxml2.DOMDocument.3.0");
    document.async = false;
    document.preserveWhiteSpace = true;
    return document;
}

function depthOf(node) {
    return node.parentNode.nodeType == 9 ? 0 : 1 + depthOf(node.parentNode);
}

function indent(depth) {
    var text = "\n";
    for (var i = 0; i < depth; i++) text += "    ";
    return text;
}

// The child with this tag and this name (null: any), appended as the last one where it is not there.
function child(parent, tag, name) {
    for (var node = parent.firstChild; node; node = node.nextSibling)
        if (node.nodeType == 1 && node.nodeName == tag && (name === null || node.getAttribute("name") == name)) return node;
    var document = parent.ownerDocument;
    var depth = depthOf(parent);
    var end = parent.lastChild;
    // Two texts side by side would become one, so the closing tag's indentation is changed and written again.
    if (end && end.nodeType == 3) end.nodeValue = indent(depth + 1);
    else parent.appendChild(document.createTextNode(indent(depth + 1)));
    var created = document.createElement(tag);
    if (name !== null) created.setAttribute("name", name);
    parent.appendChild(created);
    parent.appendChild(document.createTextNode(indent(depth)));
    return created;
}

function copyAttributes(from, to, except) {
    for (var i = 0; i < from.attributes.length; i++) {
        var attribute = from.attributes.item(i);
        if (attribute.nodeName != except) to.setAttribute(attribute.nodeName, attribute.nodeValue);
    }
}

function declareSection(root, section) {
    var names = section.getAttribute("path").split("/");
    var group = child(root, "configSections", null);
    for (var i = 0; i < names.length - 1; i++) group = child(group, "sectionGroup", names[i]);
    copyAttributes(section, child(group, "section", names[names.length - 1]), "path");
}

function declare() {
    var shell = new ActiveXObject("WScript.Shell");
    // Expanded as a whole: Wine's answer ends in a NUL, so nothing may be put behind it.
    var path = shell.ExpandEnvironmentStrings("%windir%\\system32\\inetsrv\\config\\applicationHost.config");
    var configuration = openXml();
    var description = openXml();
    if (!configuration.load(path) || !description.loadXML(PACKAGE)) return 3;
    var root = configuration.documentElement;
    for (var node = description.documentElement.firstChild; node; node = node.nextSibling) {
        if (node.nodeName == "section") declareSection(root, node);
        if (node.nodeName == "module") {
            var modules = child(child(root, "system.webServer", null), "globalModules", null);
            copyAttributes(node, child(modules, "add", node.getAttribute("name")), "name");
        }
    }
    configuration.save(path);
    return 1;
}
