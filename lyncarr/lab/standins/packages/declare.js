// Custom action of the stand-in packages: lays ADDITIONS (a <configuration> that names only what is new, put before this text when
// the package is built) over applicationHost.config, as the real packages do through IIS' configuration library.

function openXml() {
    var document = new ActiveXObject("Msxml2.DOMDocument.3.0");
    document.async = false;
    document.preserveWhiteSpace = true;
    return document;
}

function elementsOf(node) {
    var found = [];
    for (var child = node.firstChild; child; child = child.nextSibling) if (child.nodeType == 1) found.push(child);
    return found;
}

function counterpart(parent, element) {
    var children = elementsOf(parent);
    for (var i = 0; i < children.length; i++)
        if (children[i].nodeName == element.nodeName && children[i].getAttribute("name") == element.getAttribute("name")) return children[i];
    return null;
}

function merge(target, additions, indent) {
    var wanted = elementsOf(additions);
    for (var i = 0; i < wanted.length; i++) {
        var present = counterpart(target, wanted[i]);
        if (!present) {
            present = target.ownerDocument.createElement(wanted[i].nodeName);
            for (var a = 0; a < wanted[i].attributes.length; a++)
                present.setAttribute(wanted[i].attributes.item(a).nodeName, wanted[i].attributes.item(a).nodeValue);
            var end = target.lastChild;
            if (end && end.nodeType == 3) end.nodeValue = "\n" + indent;
            else target.appendChild(target.ownerDocument.createTextNode("\n" + indent));
            target.appendChild(present);
            target.appendChild(target.ownerDocument.createTextNode("\n" + indent.substring(4)));
        }
        merge(present, wanted[i], indent + "    ");
    }
}

function declare() {
    var shell = new ActiveXObject("WScript.Shell");
    // Expanded as a whole: Wine's answer ends in a NUL, so nothing may be put behind it.
    var path = shell.ExpandEnvironmentStrings("%windir%\\system32\\inetsrv\\config\\applicationHost.config");
    var configuration = openXml();
    if (!configuration.load(path)) return 3;
    var additions = openXml();
    if (!additions.loadXML(ADDITIONS)) return 3;
    merge(configuration.documentElement, additions.documentElement, "    ");
    configuration.save(path);
    return 1;
}
