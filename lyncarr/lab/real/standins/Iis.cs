// A stand-in for Microsoft.Web.Administration over a real applicationHost.config and schema files in IIS's own dialect.
// It answers as IIS's library is known to answer, and throws NotSupportedException ("stand-in: no fact covers ...") for the rest:
// a test must never pass on a behaviour that was made up here. What it covers and what not: docs/lab.md.
//
//   root folder   $LYNCARR_STANDIN_INETSRV, else %windir%\System32\inetsrv; below it
//   config/applicationHost.config, config/redirection.config, config/schema/*.xml
//   config/httpsys.txt            HTTP.sys records, "0.0.0.0:443 HASH MY" a line ("host:443 ..." for SNI)
//   config/certificates.txt       usable thumbprints, one a line; away from Windows it is LocalMachine\My
//   config/sitestate.txt          "Stopped Default Web Site" a line; a site that is not there is started
//   config/standin-faults.txt     faults of the next commits, in this order: changed-on-disk, locked, httpsys, lie
using System;
using System.Collections;
using System.Collections.Generic;
using System.ComponentModel;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Runtime.InteropServices;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Xml;
using System.Xml.Linq;

namespace Microsoft.Web.Administration
{
    internal static class Errors
    {
        internal static NotSupportedException NoFact(string what) => new NotSupportedException("stand-in: no fact covers " + what);

        internal static COMException Index() => new COMException("Invalid index. (Exception from HRESULT: 0x80070585)", unchecked((int)0x80070585));

        // Values are refused when they are set, with a text that names no file.
        internal static COMException Value(string text) => new COMException(text + "\r\n");

        internal static InvalidOperationException Frozen() => new InvalidOperationException(
            "The configuration object is read only, because it has been committed by a call to ServerManager.CommitChanges(). "
            + "If write access is required, use ServerManager to get a new reference.");

        // A pending write has no file name, a finding in a file has its path and often a line.
        internal static string Text(string file, int line, string error) =>
            "Filename: " + (file == null ? "" : @"\\?\" + file) + "\r\n" + (line > 0 ? "Line number: " + line + "\r\n" : "") + "Error: " + error + "\r\n\r\n";
    }

    // ---- Markup: XML that is written back byte for byte where nothing was set -------------------------------------------------

    internal sealed class MarkupAttribute
    {
        internal string Lead;      // blanks before the name
        internal string Name;
        internal string Equal;     // the sign, with the blanks around it
        internal char Quote;
        internal string Raw;       // between the quotes, entities as they stand

        internal string Value
        {
            get => Raw.IndexOfAny(new[] { '&', '\t', '\r', '\n' }) < 0 ? Raw : XElement.Parse("<a v=" + Quote + Raw + Quote + "/>").Attribute("v").Value;
            set => Raw = value.Replace("&", "&amp;").Replace("<", "&lt;").Replace(Quote == '"' ? "\"" : "'", Quote == '"' ? "&quot;" : "&apos;")
                .Replace("\t", "&#x9;").Replace("\r", "&#xD;").Replace("\n", "&#xA;");
        }
    }

    internal sealed class Layout
    {
        internal string NewLine = "\r\n";
        internal string Unit = "    ";
    }

    // One element, or (without a name) a whole document: prolog, root, epilog.
    internal sealed class Markup
    {
        internal readonly string Name;
        internal readonly int Line;
        internal readonly List<MarkupAttribute> Attributes = new List<MarkupAttribute>();
        internal readonly List<object> Content = new List<object>();      // Markup, or string: text, comments and the like as they stand
        internal Markup Parent;
        private string beforeClose = "";
        private string endTag;      // null: <name />

        internal Markup(string name, int line) { Name = name; Line = line; }

        internal IEnumerable<Markup> Elements => Content.OfType<Markup>();

        internal MarkupAttribute Attribute(string name) => Attributes.Find(a => a.Name == name);

        internal void Set(string name, string value)
        {
            var attribute = Attribute(name);
            if (attribute == null)
            {
                var lead = Attributes.Count > 0 ? Attributes[Attributes.Count - 1].Lead : " ";
                Attributes.Add(attribute = new MarkupAttribute { Lead = lead, Name = name, Equal = "=", Quote = '"' });
            }
            attribute.Value = value;
        }

        // The text must be known to be well formed.
        internal static Markup Parse(string text, Layout layout)
        {
            var document = new Markup(null, 0);
            var open = document;
            int at = 0, line = 1, counted = 0;
            while (at < text.Length)
            {
                int end = End(text, at);
                if (text[at] == '<' && text[at + 1] == '/')
                {
                    open.endTag = text.Substring(at, end - at);
                    open = open.Parent;
                }
                else if (text[at] == '<' && text[at + 1] != '!' && text[at + 1] != '?')
                {
                    for (; counted < at; counted++) if (text[counted] == '\n') line++;
                    var element = StartTag(text, at, line, out end, out bool empty);
                    open.Content.Add(element);
                    element.Parent = open;
                    if (!empty) open = element;
                }
                else open.Content.Add(text.Substring(at, end - at));
                at = end;
            }
            layout.NewLine = text.Contains("\r\n") || !text.Contains("\n") ? "\r\n" : "\n";
            var first = document.Elements.First().Elements.FirstOrDefault();
            if (first != null && first.Indent() is string unit && unit.Length > 0) layout.Unit = unit;
            return document;
        }

        private static int End(string text, int at)
        {
            string stop = text[at] != '<' ? "<" : text[at + 1] == '?' ? "?>" : string.CompareOrdinal(text, at, "<!--", 0, 4) == 0 ? "-->"
                : string.CompareOrdinal(text, at, "<![", 0, 3) == 0 ? "]]>" : ">";
            int found = text.IndexOf(stop, at + (text[at] == '<' ? 1 : 0), StringComparison.Ordinal);
            if (stop == "<") return found < 0 ? text.Length : found;
            return found + stop.Length;
        }

        private static Markup StartTag(string text, int at, int line, out int end, out bool empty)
        {
            int name = at + 1;
            while (!char.IsWhiteSpace(text[name]) && text[name] != '/' && text[name] != '>') name++;
            var element = new Markup(text.Substring(at + 1, name - at - 1), line);
            for (at = name; ;)
            {
                int lead = at;
                while (char.IsWhiteSpace(text[at])) at++;
                if (text[at] == '/' || text[at] == '>')
                {
                    element.beforeClose = text.Substring(lead, at - lead);
                    empty = text[at] == '/';
                    end = at + (empty ? 2 : 1);
                    return element;
                }
                int start = at;
                while (!char.IsWhiteSpace(text[at]) && text[at] != '=') at++;
                int equal = at;
                while (text[at] != '"' && text[at] != '\'') at++;
                int close = text.IndexOf(text[at], at + 1);
                element.Attributes.Add(new MarkupAttribute
                {
                    Lead = text.Substring(lead, start - lead), Name = text.Substring(start, equal - start), Equal = text.Substring(equal, at - equal),
                    Quote = text[at], Raw = text.Substring(at + 1, close - at - 1),
                });
                at = close + 1;
            }
        }

        internal void Write(StringBuilder output)
        {
            if (Name != null)
            {
                output.Append('<').Append(Name);
                foreach (var a in Attributes) output.Append(a.Lead).Append(a.Name).Append(a.Equal).Append(a.Quote).Append(a.Raw).Append(a.Quote);
                output.Append(beforeClose).Append(endTag == null ? "/>" : ">");
            }
            foreach (var part in Content)
            {
                if (part is Markup element) element.Write(output);
                else output.Append((string)part);
            }
            if (Name != null) output.Append(endTag);
        }

        private static bool Blank(object part) => part is string text && text.All(char.IsWhiteSpace);

        // The blanks before the element on its line; null when something else stands there.
        private string Indent()
        {
            if (Parent == null || Parent.Name == null) return "";
            int index = Parent.Content.IndexOf(this);
            if (index == 0 || !Blank(Parent.Content[index - 1])) return null;
            var text = (string)Parent.Content[index - 1];
            int line = text.LastIndexOf('\n');
            return line < 0 ? null : text.Substring(line + 1);
        }

        private string ChildIndent(Layout layout) => Elements.FirstOrDefault()?.Indent() ?? (Indent() ?? "") + layout.Unit;

        // Puts an element directly after or before one of this element's children; without either, at the end.
        internal void Insert(Markup child, Markup after, Markup before, Layout layout)
        {
            string indent = ChildIndent(layout), gap = layout.NewLine + indent;
            child.Parent = this;
            child.Arrange(indent, layout);
            if (Content.All(Blank))
            {
                Content.Clear();
                Content.AddRange(new object[] { gap, child, layout.NewLine + (Indent() ?? "") });
                if (endTag == null) { endTag = "</" + Name + ">"; beforeClose = ""; }
            }
            else if (after == null && before != null) Content.InsertRange(Content.IndexOf(before), new object[] { child, gap });
            else
            {
                int index = after != null ? Content.IndexOf(after) : Content.FindLastIndex(p => !Blank(p));
                Content.InsertRange(index + 1, new object[] { gap, child });
            }
        }

        private void Arrange(string indent, Layout layout)
        {
            var children = Elements.ToList();
            beforeClose = children.Count == 0 ? " " : "";
            endTag = children.Count == 0 ? null : "</" + Name + ">";
            Content.Clear();
            foreach (var child in children)
            {
                Content.Add(layout.NewLine + indent + layout.Unit);
                Content.Add(child);
                child.Arrange(indent + layout.Unit, layout);
            }
            if (children.Count > 0) Content.Add(layout.NewLine + indent);
        }

        internal void Remove(Markup child)
        {
            int index = Content.IndexOf(child);
            Content.RemoveAt(index);
            if (index > 0 && Blank(Content[index - 1])) Content.RemoveAt(index - 1);
        }
    }

    // ---- Schema ---------------------------------------------------------------------------------------------------------------

    public sealed class ConfigurationEnumValue
    {
        internal ConfigurationEnumValue(XElement source) { Name = (string)source.Attribute("name"); Value = (long)source.Attribute("value"); }
        public string Name { get; }
        public long Value { get; }
    }

    public sealed class ConfigurationEnumValueCollection : Listing<ConfigurationEnumValue>
    {
        internal ConfigurationEnumValueCollection(List<ConfigurationEnumValue> items) : base(items) { }
        public ConfigurationEnumValue this[string name] => Items.Find(v => v.Name == name) ?? throw Errors.NoFact("an enum value that is not there: " + name);
        public string GetName(long value) => Items.Find(v => v.Value == value)?.Name ?? throw Errors.NoFact("the name of an enum value that is not there");
    }

    // The read-only collections of the library.
    public abstract class Listing<T> : ICollection, IEnumerable<T>
    {
        internal readonly List<T> Items;
        internal Listing(List<T> items) { Items = items; }
        public int Count => Items.Count;
        public T this[int index] => Items[index];
        public IEnumerator<T> GetEnumerator() => Items.GetEnumerator();
        IEnumerator IEnumerable.GetEnumerator() => Items.GetEnumerator();
        void ICollection.CopyTo(Array array, int index) => ((ICollection)Items).CopyTo(array, index);
        bool ICollection.IsSynchronized => false;
        object ICollection.SyncRoot => Items;
    }

    public sealed class ConfigurationAttributeSchema
    {
        private const string BadInSiteNames = "\\/?;:@&=+$,|\"<>*";
        private const string BadInPoolNames = "|<>&\"";
        private readonly List<ConfigurationEnumValue> values;
        private readonly string defaultText;

        internal ConfigurationAttributeSchema(XElement source)
        {
            Name = (string)source.Attribute("name");
            Type = (string)source.Attribute("type");
            defaultText = (string)source.Attribute("defaultValue");
            IsRequired = (bool?)source.Attribute("required") ?? false;
            IsUniqueKey = (bool?)source.Attribute("isUniqueKey") ?? false;
            IsCombinedKey = (bool?)source.Attribute("isCombinedKey") ?? false;
            IsCaseSensitive = (bool?)source.Attribute("caseSensitive") ?? false;
            IsEncrypted = (bool?)source.Attribute("encrypted") ?? false;
            ValidationType = (string)source.Attribute("validationType") ?? "";
            ValidationParameter = (string)source.Attribute("validationParameter") ?? "";
            values = source.Elements().Select(e => new ConfigurationEnumValue(e)).ToList();
        }

        public string Name { get; }
        public string Type { get; }
        public bool IsRequired { get; }
        public bool IsUniqueKey { get; }
        public bool IsCombinedKey { get; }
        public bool IsCaseSensitive { get; }
        public bool IsEncrypted { get; }
        public string ValidationType { get; }
        public string ValidationParameter { get; }
        public ConfigurationEnumValueCollection GetEnumValues() => new ConfigurationEnumValueCollection(values);

        // A string that was never set reads as "", never as null.
        public object DefaultValue => IsEncrypted ? throw Errors.NoFact("the value of the encrypted attribute " + Name)
            : defaultText != null ? Parse(defaultText) : Type == "string" ? "" : throw Errors.NoFact("the value of " + Name + ", which is not set and has no default");

        // From the text of a file. Throws the validator's error.
        internal object Parse(string text)
        {
            switch (Type)
            {
                case "string": return text;
                case "bool":
                    if (string.Equals(text, "true", StringComparison.OrdinalIgnoreCase)) return true;
                    if (string.Equals(text, "false", StringComparison.OrdinalIgnoreCase)) return false;
                    throw Errors.NoFact("a bool that reads " + text);
                case "enum": return (int)Named(text);
                case "flags": return text == "" ? 0 : (int)text.Split(',').Select(t => Named(t.Trim())).Aggregate((a, b) => a | b);
                case "timeSpan": return ParseTime(text);
                case "uint": case "int": case "int64":
                    if (!long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number)) throw Errors.NoFact("a number that reads " + text);
                    return Type == "int" ? (object)(int)Ranged(number) : Ranged(number);
                default: throw Errors.NoFact("the attribute type " + Type);
            }
        }

        internal object Checked(string text)
        {
            var value = Parse(text);
            Validate(value);
            return value;
        }

        // From a value given to a setter: the library converts nothing but enums.
        internal object Accept(object value)
        {
            if (IsEncrypted) throw Errors.NoFact("writing the encrypted attribute " + Name);
            object typed;
            switch (Type)
            {
                case "string": typed = value as string; break;
                case "bool": typed = value as bool?; break;
                case "timeSpan": typed = value as TimeSpan?; break;
                case "enum": case "flags":
                    typed = value is string text ? Parse(text) : value is int || value is Enum ? (object)(int)Numbered(Convert.ToInt64(value)) : null;
                    if (typed == null && !(value is string)) throw Errors.NoFact("a " + (value?.GetType().Name ?? "null") + " as the value of the " + Type + " attribute " + Name);
                    break;
                case "int": typed = value is int ? (object)(int)Ranged((int)value) : null; break;
                case "uint": case "int64": typed = value is int || value is long || value is Enum ? (object)Ranged(Convert.ToInt64(value)) : null; break;
                default: throw Errors.NoFact("the attribute type " + Type);
            }
            if (typed == null && value is string) throw new InvalidCastException("Specified cast is not valid.");
            if (typed == null) throw Errors.NoFact("a " + (value?.GetType().Name ?? "null") + " as the value of the " + Type + " attribute " + Name);
            Validate(typed);
            return typed;
        }

        internal string Format(object value)
        {
            switch (value)
            {
                case bool flag: return flag ? "true" : "false";
                case string text: return text;
                case TimeSpan time: return time.ToString("c", CultureInfo.InvariantCulture);
                case int number when Type == "enum": return values.Find(v => v.Value == number).Name;
                case int number when Type == "flags":
                    var exact = values.Find(v => v.Value == number);
                    return exact != null ? exact.Name : string.Join(", ", values.Where(v => v.Value != 0 && (v.Value & number) == v.Value).Select(v => v.Name));
                default: return Convert.ToString(value, CultureInfo.InvariantCulture);
            }
        }

        private string Choice => (Type == "enum" ? "Enum must be one of " : "Flags must be some combination of ") + string.Join(", ", values.Select(v => v.Name));

        private long Named(string name)
        {
            var found = values.Find(v => v.Name == name);
            if (found != null) return found.Value;
            if (values.Exists(v => string.Equals(v.Name, name, StringComparison.OrdinalIgnoreCase))) throw Errors.NoFact("the letter case of " + Name + "=" + name);
            throw Errors.Value(Choice);
        }

        private long Numbered(long number)
        {
            long all = values.Aggregate(0L, (sum, v) => sum | v.Value);
            bool known = Type == "enum" ? values.Exists(v => v.Value == number) : (number & ~all) == 0;
            return known ? number : throw Errors.Value(Choice);
        }

        private long Ranged(long number)
        {
            long low = Type == "uint" ? 0 : Type == "int" ? int.MinValue : long.MinValue, high = Type == "uint" ? uint.MaxValue : Type == "int" ? int.MaxValue : long.MaxValue;
            return number >= low && number <= high ? number : throw Errors.Value($"Integer value must be between {low} and {high} inclusive");
        }

        // [-]d.hh:mm:ss[.fff] or hh:mm:ss[.fff], where the hours may pass 23 (29:00:00 is a default of IIS).
        private static TimeSpan ParseTime(string text)
        {
            if (TimeSpan.TryParseExact(text, "c", CultureInfo.InvariantCulture, out var time)) return time;
            var parts = text.Split(new[] { ':' }, 2);
            if (parts.Length == 2 && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int hours)
                && TimeSpan.TryParseExact("00:" + parts[1], "c", CultureInfo.InvariantCulture, out var rest)) return TimeSpan.FromHours(hours) + rest;
            throw Errors.NoFact("a time span that reads " + text);
        }

        private void Validate(object value)
        {
            var bounds = ValidationParameter.Split(',');
            switch (ValidationType)
            {
                case "": return;
                case "nonEmptyString":
                    if ((string)value == "") throw Errors.Value("String must not be empty");
                    return;
                case "requireTrimmedString":
                    if (((string)value).Trim() != (string)value) throw Errors.NoFact("the answer to blanks around " + Name);
                    return;
                case "siteName":
                    if ((string)value == "" || ((string)value).IndexOfAny(BadInSiteNames.ToCharArray()) >= 0) throw Errors.Value("Invalid site name");
                    return;
                case "applicationPoolName":
                    if ((string)value == "" || ((string)value).IndexOfAny(BadInPoolNames.ToCharArray()) >= 0) throw Errors.Value("Invalid application pool name");
                    return;
                case "applicationPath": case "virtualDirectoryPath":
                    if (!((string)value).StartsWith("/", StringComparison.Ordinal)) throw Errors.NoFact("the answer to a " + ValidationType + " without a slash");
                    return;
                case "integerRange":
                    long number = Convert.ToInt64(value), low = long.Parse(bounds[0], CultureInfo.InvariantCulture), high = long.Parse(bounds[1], CultureInfo.InvariantCulture);
                    bool exclude = bounds.Length > 2 && bounds[2] == "exclude", inside = number >= low && number <= high;
                    if (inside == exclude) throw Errors.Value($"Integer value must {(exclude ? "not " : "")}be between {low} and {high} inclusive");
                    return;
                case "timeSpanRange":
                    long[] limits = bounds.Select(b => long.Parse(b, CultureInfo.InvariantCulture)).ToArray();
                    double seconds = ((TimeSpan)value).TotalSeconds;
                    if (seconds < limits[0] || seconds > limits[1] || seconds % limits[2] != 0)
                        throw Errors.Value($"Timespan value must be between {limits[0]} and {limits[1]} seconds inclusive, with a granularity of {limits[2]} seconds");
                    return;
                default: throw Errors.NoFact("the validation " + ValidationType);
            }
        }
    }

    public sealed class ConfigurationAttributeSchemaCollection : Listing<ConfigurationAttributeSchema>
    {
        internal ConfigurationAttributeSchemaCollection(List<ConfigurationAttributeSchema> items) : base(items) { }
        public ConfigurationAttributeSchema this[string name] => Items.Find(a => a.Name == name) ?? throw Errors.NoFact("an attribute schema that is not there: " + name);
    }

    public sealed class ConfigurationElementSchemaCollection : Listing<ConfigurationElementSchema>
    {
        internal ConfigurationElementSchemaCollection(List<ConfigurationElementSchema> items) : base(items) { }
        public ConfigurationElementSchema this[string name] => Items.Find(e => e.Name == name) ?? throw Errors.NoFact("an element schema that is not there: " + name);
    }

    public sealed class ConfigurationElementSchema
    {
        internal readonly List<ConfigurationAttributeSchema> Attributes = new List<ConfigurationAttributeSchema>();
        internal readonly List<ConfigurationElementSchema> Elements = new List<ConfigurationElementSchema>();

        internal ConfigurationElementSchema(string name) { Name = name; }

        public string Name { get; }
        public bool IsCollectionDefault { get; private set; }
        public ConfigurationAttributeSchemaCollection AttributeSchemas => new ConfigurationAttributeSchemaCollection(Attributes);
        public ConfigurationElementSchemaCollection ChildElementSchemas => new ConfigurationElementSchemaCollection(Elements);
        public ConfigurationCollectionSchema CollectionSchema { get; private set; }

        internal ConfigurationAttributeSchema Attribute(string name) => Attributes.Find(a => a.Name == name);

        internal ConfigurationElementSchema Element(string name) => Elements.Find(e => e.Name == name);

        // Several files may describe one section: ARR's arr_schema.xml adds to the webFarms of webfarm.xml.
        internal void Merge(XElement source)
        {
            IsCollectionDefault |= (bool?)source.Attribute("isCollectionDefault") ?? false;
            foreach (var part in source.Elements())
            {
                if (part.Name == "attribute") Attributes.Add(new ConfigurationAttributeSchema(part));
                else if (part.Name == "element")
                {
                    var name = (string)part.Attribute("name");
                    var element = Element(name);
                    if (element == null) Elements.Add(element = new ConfigurationElementSchema(name));
                    element.Merge(part);
                }
                else if (part.Name == "collection")
                {
                    CollectionSchema = CollectionSchema ?? new ConfigurationCollectionSchema(part);
                    if (CollectionSchema.AddElementNames != (string)part.Attribute("addElement")) throw Errors.NoFact("two collections in the element " + Name);
                    CollectionSchema.Item.Merge(part);
                }
                else throw Errors.NoFact("the schema element " + part.Name);
            }
        }
    }

    public sealed class ConfigurationCollectionSchema
    {
        internal readonly ConfigurationElementSchema Item;
        internal readonly string[] AddNames;

        internal ConfigurationCollectionSchema(XElement source)
        {
            AddElementNames = (string)source.Attribute("addElement");
            RemoveElementName = (string)source.Attribute("removeElement") ?? "";
            ClearElementName = (string)source.Attribute("clearElement") ?? "";
            AddNames = AddElementNames.Split(',');
            Item = new ConfigurationElementSchema(AddNames[0]);
        }

        public string AddElementNames { get; }
        public string RemoveElementName { get; }
        public string ClearElementName { get; }
        public ConfigurationElementSchema GetAddElementSchema(string elementName) => AddNames.Contains(elementName) ? Item : throw Errors.Index();
    }

    // The schema files of one folder, read once in a process: a process that ran before an installer added files keeps the old schema.
    internal static class Schemas
    {
        private static readonly Dictionary<string, Dictionary<string, ConfigurationElementSchema>> Read = new Dictionary<string, Dictionary<string, ConfigurationElementSchema>>();

        internal static ConfigurationElementSchema Find(string folder, string section)
        {
            lock (Read)
            {
                if (!Read.TryGetValue(folder, out var sections)) Read[folder] = sections = Load(folder);
                return sections.TryGetValue(section, out var found) ? found : null;
            }
        }

        private static Dictionary<string, ConfigurationElementSchema> Load(string folder)
        {
            var sections = new Dictionary<string, ConfigurationElementSchema>();
            foreach (var file in Directory.GetFiles(folder, "*.xml").OrderBy(f => f, StringComparer.Ordinal))
            {
                foreach (var source in XDocument.Load(file).Root.Elements("sectionSchema"))
                {
                    var name = (string)source.Attribute("name");
                    if (!sections.TryGetValue(name, out var schema)) sections[name] = schema = new ConfigurationElementSchema(name.Substring(name.LastIndexOf('/') + 1));
                    schema.Merge(source);
                }
            }
            return sections;
        }
    }

    // ---- The configuration behind the objects ---------------------------------------------------------------------------------

    // One reading of one file, with what is pending on it.
    internal sealed class Snapshot
    {
        private static readonly string[] OutsideGroups = { "configSections", "configProtectedData", "location" };
        private readonly string schemaFolder;
        private readonly Dictionary<string, Entry> sections = new Dictionary<string, Entry>();
        private byte[] read;
        private bool byteOrderMark;
        private Markup document;
        private SectionGroup groups;

        internal Snapshot(string file, string schemaFolder, bool readOnly) { File = file; this.schemaFolder = schemaFolder; ReadOnly = readOnly; }

        internal string File { get; }
        internal bool ReadOnly { get; }
        internal bool Frozen { get; set; }
        internal bool Changed { get; set; }
        internal bool Stale { get; set; }
        internal Layout Layout { get; } = new Layout();

        internal Markup Root { get { Load(); return document.Elements.First(); } }

        internal SectionGroup Groups { get { Load(); return groups; } }

        internal void Guard()
        {
            if (Frozen || ReadOnly) throw Errors.Frozen();
        }

        private void Load()
        {
            if (document != null) return;
            read = ReadFile(File);
            byteOrderMark = read.Length > 2 && read[0] == 0xEF && read[1] == 0xBB && read[2] == 0xBF;
            string text;
            try { text = Text(); }
            catch (DecoderFallbackException) { throw Errors.NoFact("a configuration file that is not UTF-8"); }
            try
            {
                using (var reader = XmlReader.Create(new StringReader(text), new XmlReaderSettings { DtdProcessing = DtdProcessing.Prohibit })) while (reader.Read()) { }
            }
            catch (XmlException e) { throw new COMException(Errors.Text(File, e.LineNumber, "Configuration file is not well-formed XML")); }
            document = Markup.Parse(text, Layout);
            groups = new SectionGroup("", Root.Elements.FirstOrDefault(e => e.Name == "configSections"));
        }

        internal static byte[] ReadFile(string file)
        {
            try { return System.IO.File.ReadAllBytes(file); }
            catch (Exception e) when (e is FileNotFoundException || e is DirectoryNotFoundException) { throw new FileNotFoundException(Errors.Text(file, 0, "Cannot read configuration file")); }
            catch (UnauthorizedAccessException) { throw new UnauthorizedAccessException(Errors.Text(file, 0, "Cannot read configuration file due to insufficient permissions")); }
            catch (IOException) { throw new FileLoadException(Errors.Text(file, 0, "Cannot read configuration file")); }
        }

        internal Entry Section(string path)
        {
            if (sections.TryGetValue(path, out var known)) return known;
            if (Definition(path, StringComparison.Ordinal) == null)
            {
                if (Definition(path, StringComparison.OrdinalIgnoreCase) != null) throw Errors.NoFact("a section path in another letter case: " + path);
                throw new COMException(Errors.Text(File, 0, "The configuration section '" + path + "' cannot be read because it is missing a section declaration"));
            }
            CheckDeclared(Root, groups);
            var schema = Schemas.Find(schemaFolder, path)
                ?? throw new FileNotFoundException(Errors.Text(File, 0, "The configuration section '" + path + "' cannot be read because it is missing schema"));
            if (Root.Elements.Any(e => e.Name == "location" && e.Attribute("path")?.Value == "" && Find(e, path).Any())) throw Errors.NoFact("a section inside <location path=\"\">: " + path);
            var found = Find(Root, path).ToList();
            if (found.Count > 1) throw Errors.NoFact("a section that stands twice in a file: " + path);
            var entry = Entry.ForSection(this, schema, path, found.FirstOrDefault());
            entry.CheckContent();
            return sections[path] = entry;
        }

        internal SectionDefinition Definition(string path, StringComparison comparison)
        {
            var names = path.Split('/');
            var group = Groups;
            foreach (var name in names.Take(names.Length - 1))
            {
                group = group?.SectionGroups.Items.Find(g => string.Equals(g.Name, name, comparison));
            }
            return group?.Sections.Items.Find(s => string.Equals(s.Name, names.Last(), comparison));
        }

        internal void Forget(string path) => sections.Remove(path);

        private static IEnumerable<Markup> Find(Markup start, string path)
        {
            IEnumerable<Markup> level = new[] { start };
            foreach (var name in path.Split('/')) level = level.SelectMany(e => e.Elements.Where(c => c.Name == name));
            return level;
        }

        // What an uninstalled module left behind spoils the reading of the whole file, with an error text that is empty.
        // Known for groups; that the root, where webFarms stands, is treated alike is an inference.
        private void CheckDeclared(Markup place, SectionGroup group)
        {
            foreach (var element in place.Elements)
            {
                if (place == Root && OutsideGroups.Contains(element.Name)) continue;
                var inner = group.SectionGroups.Items.Find(g => g.Name == element.Name);
                if (inner != null) CheckDeclared(element, inner);
                else if (!group.Sections.Items.Exists(s => s.Name == element.Name)) throw new COMException("Filename: \\\\?\\" + File + "\r\nError: \r\n");
            }
        }

        // The element in which a section stands, made where it is missing.
        internal Markup Place(string path)
        {
            var place = Root;
            foreach (var name in path.Split('/').Reverse().Skip(1).Reverse())
            {
                var next = place.Elements.FirstOrDefault(e => e.Name == name);
                if (next == null) place.Insert(next = new Markup(name, 0), null, null, Layout);
                place = next;
            }
            return place;
        }

        private string Text() => new UTF8Encoding(false, true).GetString(read, byteOrderMark ? 3 : 0, read.Length - (byteOrderMark ? 3 : 0));

        // The root element as it was read, without what is pending.
        internal Markup Before() => Markup.Parse(Text(), new Layout()).Elements.First();

        internal void Write()
        {
            if (Stale || !ReadFile(File).AsSpan().SequenceEqual(read))
                throw new FileLoadException(Errors.Text(File, 0, "Cannot commit configuration changes because the file has changed on disk"));
            var text = new StringBuilder();
            document.Write(text);
            var bytes = new UTF8Encoding(byteOrderMark).GetPreamble().Concat(new UTF8Encoding(false).GetBytes(text.ToString())).ToArray();
            try
            {
                // Without a buffer, and cut to length afterwards: a process that is killed here leaves no empty file.
                using (var stream = new FileStream(File, FileMode.Open, FileAccess.Write, FileShare.None, 1))
                {
                    stream.Write(bytes, 0, bytes.Length);
                    stream.SetLength(bytes.Length);
                }
            }
            catch (UnauthorizedAccessException) { throw new UnauthorizedAccessException(Errors.Text(File, 0, "Cannot write configuration file due to insufficient permissions")); }
            catch (IOException) { throw Locked(); }
        }

        internal FileLoadException Locked() => new FileLoadException(Errors.Text(File, 0, "Cannot write configuration file"));
    }

    // One element of the configuration: a section, a child, an item of a collection. Its markup is null while the file does not hold it.
    internal sealed class Entry
    {
        internal static readonly string[] Metadata = { "lockItem", "lockAttributes", "lockElements", "lockAllAttributesExcept", "lockAllElementsExcept" };
        private readonly Dictionary<string, Entry> children = new Dictionary<string, Entry>();
        private readonly Dictionary<Type, ConfigurationElement> wrappers = new Dictionary<Type, ConfigurationElement>();
        private readonly List<Entry> items = new List<Entry>();
        private Entry owner;        // whose child or item this is; null for a section
        private bool item, created, added, removed;

        private Entry(Snapshot snapshot, ConfigurationElementSchema schema, string tag) { Snapshot = snapshot; Schema = schema; Tag = tag; }

        internal Snapshot Snapshot { get; }
        internal ConfigurationElementSchema Schema { get; }
        internal string Tag { get; }
        internal string Path { get; private set; }
        internal Markup Markup { get; private set; }
        internal int Version { get; private set; }
        internal IReadOnlyList<Entry> Items => Schema.CollectionSchema == null ? throw Errors.NoFact("GetCollection on <" + Tag + ">, which has none") : items;

        internal static Entry ForSection(Snapshot snapshot, ConfigurationElementSchema schema, string path, Markup markup)
        {
            var entry = new Entry(snapshot, schema, schema.Name) { Path = path, Markup = markup };
            entry.Read();
            return entry;
        }

        private void Read()
        {
            foreach (var schema in Schema.Elements)
            {
                var found = Markup?.Elements.Where(e => e.Name == schema.Name).ToList();
                if (found?.Count > 1) throw Errors.NoFact("the element <" + schema.Name + "> twice in <" + Tag + ">");
                children[schema.Name] = new Entry(Snapshot, schema, schema.Name) { owner = this, Markup = found?.FirstOrDefault() };
                children[schema.Name].Read();
            }
            if (Markup == null || Schema.CollectionSchema == null) return;
            foreach (var element in Markup.Elements.Where(e => Schema.Element(e.Name) == null))
            {
                if (element.Name == Schema.CollectionSchema.RemoveElementName) throw Errors.NoFact("<" + element.Name + "> in <" + Tag + "> of applicationHost.config");
                if (element.Name == Schema.CollectionSchema.ClearElementName)
                {
                    if (items.Count > 0) throw Errors.NoFact("<clear> after items in <" + Tag + ">");
                    continue;
                }
                if (!Schema.CollectionSchema.AddNames.Contains(element.Name)) continue;      // told by CheckContent
                var entry = new Entry(Snapshot, Schema.CollectionSchema.Item, element.Name) { owner = this, item = true, Markup = element };
                entry.Read();
                items.Add(entry);
            }
        }

        // Findings in the file come when the section is asked for, with file and line.
        internal void CheckContent()
        {
            if (Markup == null) return;
            foreach (var attribute in Markup.Attributes.Where(a => !Metadata.Contains(a.Name)))
            {
                var schema = Schema.Attribute(attribute.Name);
                if (attribute.Name == "configSource") throw Errors.NoFact("configSource");
                if (schema == null) throw Found("Unrecognized attribute '" + attribute.Name + "'");
                if (schema.IsEncrypted) continue;
                try { schema.Checked(attribute.Value); }
                catch (COMException e) { throw Found("The '" + attribute.Name + "' attribute is invalid.  " + e.Message); }
            }
            foreach (var schema in Schema.Attributes.Where(a => a.IsRequired && Markup.Attribute(a.Name) == null)) throw Found("Missing required attribute '" + schema.Name + "'");
            var collection = Schema.CollectionSchema;
            foreach (var element in Markup.Elements)
            {
                bool known = Schema.Element(element.Name) != null || collection != null && (collection.AddNames.Contains(element.Name)
                    || element.Name == collection.RemoveElementName || element.Name == collection.ClearElementName);
                if (!known) throw new COMException(Errors.Text(Snapshot.File, element.Line, "Unrecognized element '" + element.Name + "'"));
            }
            foreach (var child in children.Values) child.CheckContent();
            for (int i = 0; i < items.Count; i++)
            {
                items[i].CheckContent();
                if (Clash(items[i], items.Take(i)) is string clash) throw items[i].Found(clash);
            }
        }

        private COMException Found(string error) => new COMException(Errors.Text(Snapshot.File, Markup.Line, error));

        internal T Wrapped<T>(Func<T> make) where T : ConfigurationElement
        {
            if (!wrappers.TryGetValue(typeof(T), out var known))
            {
                wrappers[typeof(T)] = known = make();
                known.Entry = this;
            }
            return (T)known;
        }

        internal Entry Child(string name) => children.TryGetValue(name, out var child) ? child : throw Errors.Index();

        internal IEnumerable<Entry> Children => children.Values;

        internal bool Pending => added || created;

        internal ConfigurationAttributeSchema AttributeSchema(string name) => Schema.Attribute(name) ?? throw Errors.Index();

        internal bool IsSet(string name) => Markup?.Attribute(name) != null;

        internal object Get(ConfigurationAttributeSchema schema)
        {
            if (schema.IsEncrypted) throw Errors.NoFact("the value of the encrypted attribute " + schema.Name);
            var written = Markup?.Attribute(schema.Name);
            if (written != null) return schema.Parse(written.Value);
            if (Defaults() is Entry defaults && defaults.IsSet(schema.Name)) throw Errors.NoFact("what <" + defaults.Tag + "> sets for " + schema.Name + " of the other items");
            return schema.DefaultValue;
        }

        // The entry of siteDefaults and the like that stands for this one, where its collection has such an element.
        private Entry Defaults()
        {
            if (owner == null) return null;
            if (item) return owner.children.Values.FirstOrDefault(c => c.Schema.IsCollectionDefault);
            return owner.Defaults() is Entry twin && twin.children.TryGetValue(Tag, out var child) ? child : null;
        }

        // An attribute that is set to its default is written all the same.
        internal void Set(ConfigurationAttributeSchema schema, object value)
        {
            Guard();
            var typed = schema.Accept(value);
            Ensure().Set(schema.Name, schema.Format(typed));
            Snapshot.Changed = true;
        }

        internal void Unset(ConfigurationAttributeSchema schema)
        {
            Guard();
            if (!IsSet(schema.Name)) return;
            Markup.Attributes.Remove(Markup.Attribute(schema.Name));
            Snapshot.Changed = true;
        }

        private void Guard()
        {
            if (removed) throw Errors.NoFact("writing to an element that was removed");
            Snapshot.Guard();
        }

        // The markup, made where it is missing. Children stand in the order of the schema, behind the items of a collection.
        private Markup Ensure()
        {
            if (Markup != null) return Markup;
            var place = owner == null ? Snapshot.Place(Path) : owner.Ensure();
            Markup before = null;
            if (owner != null)
            {
                var later = owner.Schema.Elements.SkipWhile(e => e != Schema).Skip(1).Select(e => e.Name).ToList();
                before = place.Elements.FirstOrDefault(e => later.Contains(e.Name));
            }
            Markup = new Markup(Tag, 0);
            place.Insert(Markup, null, before, Snapshot.Layout);
            added = true;
            return Markup;
        }

        internal Entry Create(string tag)
        {
            var collection = Schema.CollectionSchema;
            if (!collection.AddNames.Contains(tag)) throw Errors.Index();
            var entry = new Entry(Snapshot, collection.Item, tag) { owner = this, item = true, created = true, Markup = new Markup(tag, 0) };
            entry.Read();
            return entry;
        }

        internal void Add(int index, Entry entry)
        {
            Guard();
            if (index < 0) throw Errors.NoFact("a negative position");
            if (index > items.Count) throw Errors.Index();
            if (entry.removed) throw Errors.NoFact("adding an element again that was removed");
            if (entry.owner != this || !entry.item || !entry.created) throw Errors.NoFact("adding an element that this collection did not create, or twice");
            var missing = entry.Schema.Attributes.Where(a => (a.IsRequired || a.IsUniqueKey) && !entry.IsSet(a.Name)).Select(a => a.Name).ToList();
            if (missing.Count > 0) throw new FileNotFoundException(Errors.Text(null, 0, "Element is missing required attributes " + string.Join(",", missing)));
            if (Clash(entry, items) is string clash) throw new COMException(Errors.Text(null, 0, clash));
            var before = index == 0 ? (items.FirstOrDefault()?.Markup ?? Markup?.Elements.FirstOrDefault(e => Schema.Element(e.Name) != null)) : null;
            Ensure().Insert(entry.Markup, index > 0 ? items[index - 1].Markup : null, before, Snapshot.Layout);
            entry.created = false;
            entry.added = true;
            items.Insert(index, entry);
            Version++;
            Snapshot.Changed = true;
        }

        // The text of the error when an item has the key of another one. Keys compare without letter case unless the schema says otherwise.
        private static string Clash(Entry entry, IEnumerable<Entry> others)
        {
            var combined = entry.Schema.Attributes.Where(a => a.IsCombinedKey).ToList();
            var unique = entry.Schema.Attributes.Where(a => a.IsUniqueKey).ToList();
            foreach (var other in others)
            {
                string head = "Cannot add duplicate collection entry of type '" + entry.Tag + "' with ";
                var key = unique.Find(a => Same(a, entry, other));
                if (key != null) return head + "unique key attribute '" + key.Name + "' set to '" + entry.KeyText(key) + "'";
                if (combined.Count > 0 && combined.All(a => Same(a, entry, other)))
                    return head + "combined key attributes '" + string.Join(", ", combined.Select(a => a.Name)) + "' respectively set to '" + string.Join(", ", combined.Select(entry.KeyText)) + "'";
            }
            return null;
        }

        private static bool Same(ConfigurationAttributeSchema key, Entry left, Entry right) =>
            string.Equals(left.KeyText(key), right.KeyText(key), key.IsCaseSensitive ? StringComparison.Ordinal : StringComparison.OrdinalIgnoreCase);

        private string KeyText(ConfigurationAttributeSchema key) => key.Format(Get(key));

        internal void RemoveItem(Entry entry)
        {
            Guard();
            if (entry.IsSet("lockItem")) throw Errors.NoFact("removing a locked item of applicationHost.config");
            items.Remove(entry);
            Markup.Remove(entry.Markup);
            entry.removed = true;
            Version++;
            Snapshot.Changed = true;
        }

        internal void Delete()
        {
            Guard();
            if (created) throw Errors.NoFact("Delete on an element that was not added yet");
            if (item) { owner.RemoveItem(this); return; }
            if (Markup == null) return;
            Markup.Parent.Remove(Markup);
            Snapshot.Changed = true;
            removed = true;      // whether the same object may be written again is not known; a new one may
            if (owner == null) Snapshot.Forget(Path);
            else
            {
                owner.children[Tag] = new Entry(Snapshot, Schema, Tag) { owner = owner };
                owner.children[Tag].Read();
            }
        }
    }

    // ---- The library's objects ------------------------------------------------------------------------------------------------

    public class ConfigurationElement
    {
        protected ConfigurationElement() { }

        internal Entry Entry { get; set; }

        internal static ConfigurationElement Of(Entry entry) => entry.Wrapped(() => new ConfigurationElement());

        public string ElementTagName => Entry.Tag;
        public ConfigurationElementSchema Schema => Entry.Schema;
        public ConfigurationAttributeCollection Attributes => new ConfigurationAttributeCollection(Entry);
        public ConfigurationChildElementCollection ChildElements => new ConfigurationChildElementCollection(Entry);

        public bool IsLocallyStored => Entry.Pending ? throw Errors.NoFact("IsLocallyStored before the commit") : Entry.Markup != null;

        public object this[string attributeName]
        {
            get => GetAttributeValue(attributeName);
            set => SetAttributeValue(attributeName, value);
        }

        public ConfigurationAttribute GetAttribute(string attributeName) => new ConfigurationAttribute(Entry, Entry.AttributeSchema(attributeName));

        public object GetAttributeValue(string attributeName) => Entry.Get(Entry.AttributeSchema(attributeName));

        public void SetAttributeValue(string attributeName, object value) => Entry.Set(Entry.AttributeSchema(attributeName), value);

        public ConfigurationElement GetChildElement(string elementName) => Of(Entry.Child(elementName));

        public ConfigurationElementCollection GetCollection() => ConfigurationElementCollection.Of(Entry);

        public ConfigurationElementCollection GetCollection(string collectionName) => ConfigurationElementCollection.Of(Entry.Child(collectionName));

        public virtual void Delete() => Entry.Delete();

        // Locks are metadata and no attributes.
        public object GetMetadata(string metadataType)
        {
            if (!Entry.Metadata.Contains(metadataType)) throw new COMException("The request is not supported. (Exception from HRESULT: 0x80070032)", unchecked((int)0x80070032));
            var text = Entry.Markup?.Attribute(metadataType)?.Value;
            return metadataType == "lockItem" ? (object)(text == "true") : text ?? "";
        }

        public void SetMetadata(string metadataType, object value) => throw Errors.NoFact("SetMetadata here");

        public object Methods => throw Errors.NoFact("Methods here");

        public object RawAttributes => throw Errors.NoFact("RawAttributes");
    }

    public sealed class ConfigurationAttribute
    {
        private readonly Entry entry;

        internal ConfigurationAttribute(Entry entry, ConfigurationAttributeSchema schema) { this.entry = entry; Schema = schema; }

        public ConfigurationAttributeSchema Schema { get; }
        public string Name => Schema.Name;
        public bool IsInheritedFromDefaultValue => !entry.IsSet(Name);
        public object Value { get => entry.Get(Schema); set => entry.Set(Schema, value); }
        public void Delete() => entry.Unset(Schema);
    }

    public sealed class ConfigurationAttributeCollection : Listing<ConfigurationAttribute>
    {
        internal ConfigurationAttributeCollection(Entry entry) : base(entry.Schema.Attributes.Select(a => new ConfigurationAttribute(entry, a)).ToList()) { }
        public ConfigurationAttribute this[string name] => Items.Find(a => a.Name == name) ?? throw Errors.NoFact("Attributes of a name that is not there: " + name);
    }

    public sealed class ConfigurationChildElementCollection : Listing<ConfigurationElement>
    {
        internal ConfigurationChildElementCollection(Entry entry) : base(entry.Children.Select(ConfigurationElement.Of).ToList()) { }
        public ConfigurationElement this[string name] => Items.Find(e => e.ElementTagName == name) ?? throw Errors.NoFact("ChildElements of a name that is not there: " + name);
    }

    public abstract class ConfigurationElementCollectionBase<T> : ConfigurationElement, ICollection, IEnumerable<T> where T : ConfigurationElement
    {
        internal abstract T Wrap(Entry entry);

        public int Count => Entry.Items.Count;

        public T this[int index] => index >= 0 && index < Count ? Wrap(Entry.Items[index]) : throw Errors.NoFact("an index that is out of range");

        public bool AllowsAdd => throw Errors.NoFact("AllowsAdd");
        public bool AllowsClear => Entry.Schema.CollectionSchema.ClearElementName != "";
        public bool AllowsRemove => Entry.Schema.CollectionSchema.RemoveElementName != "";

        public T CreateElement() => CreateElement(Entry.Schema.CollectionSchema.AddNames[0]);

        public T CreateElement(string elementTagName) => Wrap(Entry.Create(elementTagName));

        // Where Add puts an item is not told anywhere; tools are seen to append.
        public T Add(T element) => AddAt(Count, element);

        public T AddAt(int index, T element)
        {
            Entry.Add(index, element.Entry);
            return element;
        }

        public int IndexOf(T element) => Entry.Items.ToList().IndexOf(element.Entry);

        public void Remove(T element)
        {
            if (Entry.Snapshot.ReadOnly) throw Errors.NoFact("Remove on a ServerManager that is read only");
            if (IndexOf(element) < 0) throw Errors.NoFact("Remove of an element that is not in the collection");
            Entry.RemoveItem(element.Entry);
        }

        public void RemoveAt(int index)
        {
            if (Entry.Snapshot.ReadOnly) throw new FileLoadException("This configuration section cannot be modified because it has been opened for read only access");
            if (index < 0 || index >= Count) throw Errors.NoFact("RemoveAt of an index that is out of range");
            Entry.RemoveItem(Entry.Items[index]);
        }

        public void Clear()
        {
            Entry.Snapshot.Guard();
            foreach (var item in Entry.Items.ToList()) Entry.RemoveItem(item);
        }

        public IEnumerator<T> GetEnumerator()
        {
            int version = Entry.Version;
            foreach (var item in Entry.Items.ToList())
            {
                if (version != Entry.Version) throw new InvalidOperationException("stand-in: the collection was changed while it was enumerated");
                yield return Wrap(item);
            }
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
        void ICollection.CopyTo(Array array, int index) => ((ICollection)Entry.Items.Select(Wrap).ToList()).CopyTo(array, index);
        bool ICollection.IsSynchronized => false;
        object ICollection.SyncRoot => this;
    }

    public class ConfigurationElementCollection : ConfigurationElementCollectionBase<ConfigurationElement>
    {
        internal static new ConfigurationElementCollection Of(Entry entry)
        {
            _ = entry.Items;
            return entry.Wrapped(() => new ConfigurationElementCollection());
        }

        internal override ConfigurationElement Wrap(Entry entry) => ConfigurationElement.Of(entry);
    }

    public enum OverrideMode { Unknown = 0, Inherit = 1, Allow = 2, Deny = 3 }

    public class ConfigurationSection : ConfigurationElement
    {
        internal SectionDefinition Definition { get; set; }

        public string SectionPath => Entry.Path;

        // Deny keeps other files out, not applicationHost.config.
        public bool IsLocked => false;
        public OverrideMode OverrideMode { get => OverrideMode.Inherit; set => throw Errors.NoFact("setting OverrideMode"); }
        public OverrideMode OverrideModeEffective => Definition.OverrideModeDefault == "Deny" ? OverrideMode.Deny : OverrideMode.Allow;
    }

    public sealed class SectionDefinition
    {
        private readonly Markup source;

        internal SectionDefinition(Markup source) { this.source = source; }

        public string Name => source.Attribute("name").Value;
        public string AllowDefinition => source.Attribute("allowDefinition")?.Value ?? throw Errors.NoFact("AllowDefinition that is not written");
        public string OverrideModeDefault => source.Attribute("overrideModeDefault")?.Value ?? "Allow";
    }

    public sealed class SectionDefinitionCollection : Listing<SectionDefinition>
    {
        internal SectionDefinitionCollection(List<SectionDefinition> items) : base(items) { }
        public SectionDefinition this[string sectionName] => throw Errors.NoFact("Sections by name: walk them");
        public SectionDefinition Add(string sectionName) => throw Errors.NoFact("Sections.Add");
    }

    public sealed class SectionGroup
    {
        internal SectionGroup(string name, Markup source)
        {
            Name = name;
            var parts = source?.Elements.ToList() ?? new List<Markup>();
            Sections = new SectionDefinitionCollection(parts.Where(p => p.Name == "section").Select(p => new SectionDefinition(p)).ToList());
            SectionGroups = new SectionGroupCollection(parts.Where(p => p.Name == "sectionGroup").Select(p => new SectionGroup(p.Attribute("name").Value, p)).ToList());
        }

        public string Name { get; }
        public SectionGroupCollection SectionGroups { get; }
        public SectionDefinitionCollection Sections { get; }
    }

    public sealed class SectionGroupCollection : Listing<SectionGroup>
    {
        internal SectionGroupCollection(List<SectionGroup> items) : base(items) { }
        public SectionGroup this[string sectionGroupName] => throw Errors.NoFact("SectionGroups by name: walk them");
        public SectionGroup Add(string sectionGroupName) => throw Errors.NoFact("SectionGroups.Add");
    }

    public class Configuration
    {
        private readonly Snapshot snapshot;

        internal Configuration(Snapshot snapshot) { this.snapshot = snapshot; }

        public SectionGroup RootSectionGroup => snapshot.Groups;

        public ConfigurationSection GetSection(string sectionPath)
        {
            var entry = snapshot.Section(sectionPath);
            return entry.Wrapped(() => new ConfigurationSection { Definition = snapshot.Definition(sectionPath, StringComparison.Ordinal) });
        }

        public ConfigurationSection GetSection(string sectionPath, string locationPath) => throw Errors.NoFact("GetSection with a location here");
    }

    // ---- Sites, bindings, HTTP.sys --------------------------------------------------------------------------------------------

    [Flags] public enum SslFlags { None = 0, Sni = 1, CentralCertStore = 2 }

    public enum ObjectState { Starting = 0, Started = 1, Stopping = 2, Stopped = 3, Unknown = 4 }

    internal sealed class CertificateRecord
    {
        internal byte[] Hash;
        internal string Store;
    }

    // The records that tie an address to a certificate, kept apart from applicationHost.config as HTTP.sys keeps them.
    internal sealed class HttpSys
    {
        private readonly string folder;

        internal HttpSys(string folder) { this.folder = folder; }

        internal Dictionary<Entry, CertificateRecord> Pending { get; } = new Dictionary<Entry, CertificateRecord>();

        private string Records => Path.Combine(folder, "httpsys.txt");

        internal CertificateRecord Find(string key)
        {
            var fields = Lines(Records).Select(l => l.Split(' ')).FirstOrDefault(f => f[0] == key);
            return fields == null ? null : new CertificateRecord { Hash = Convert.FromHexString(fields[1]), Store = fields[2] };
        }

        internal void Write(string key, CertificateRecord record)
        {
            var hash = Convert.ToHexString(record.Hash);
            if (!Usable(hash, record.Store)) throw new Win32Exception(1312, "A specified logon session does not exist. It may already have been terminated");
            var others = Lines(Records).Where(l => l.Split(' ')[0] != key);
            File.WriteAllLines(Records, others.Append(key + " " + hash + " " + record.Store));
        }

        private bool Usable(string hash, string store)
        {
            if (!RuntimeInformation.IsOSPlatform(OSPlatform.Windows))
                return Lines(Path.Combine(folder, "certificates.txt")).Contains(hash, StringComparer.OrdinalIgnoreCase);
            using (var opened = new X509Store(store, StoreLocation.LocalMachine))
            {
                opened.Open(OpenFlags.ReadOnly | OpenFlags.OpenExistingOnly);
                return opened.Certificates.Cast<X509Certificate2>().Any(c => string.Equals(c.Thumbprint, hash, StringComparison.OrdinalIgnoreCase) && c.HasPrivateKey);
            }
        }

        internal static List<string> Lines(string file) => File.Exists(file) ? File.ReadAllLines(file).Select(l => l.Trim()).Where(l => l != "").ToList() : new List<string>();

        // "*:443:" is 0.0.0.0:443; with SNI the record bears the host's name. Null for what HTTP.sys keeps no record of.
        internal static string Key(string information, long flags)
        {
            var point = Point(information);
            if (point == null) return null;
            if ((flags & 2) != 0) throw Errors.NoFact("the central certificate store");
            return (flags & 1) != 0 ? information.Substring(information.LastIndexOf(':') + 1) + ":" + point.Port : point.ToString();
        }

        internal static IPEndPoint Point(string information)
        {
            int host = information.LastIndexOf(':');
            int port = host > 0 ? information.LastIndexOf(':', host - 1) : -1;
            if (port < 0 || !ushort.TryParse(information.Substring(port + 1, host - port - 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort number)) return null;
            var address = information.Substring(0, port);
            // No address is the wildcard too: https://learn.microsoft.com/previous-versions/iis/6.0-sdk/ms524773(v=vs.90)
            if (address == "*" || address == "") return new IPEndPoint(IPAddress.Any, number);
            return IPAddress.TryParse(address.Trim('[', ']'), out var parsed) ? new IPEndPoint(parsed, number) : null;
        }
    }

    public class Binding : ConfigurationElement
    {
        internal HttpSys HttpSys { get; set; }

        public string Protocol { get => (string)GetAttributeValue("protocol"); set => SetAttributeValue("protocol", value); }
        public string BindingInformation { get => (string)GetAttributeValue("bindingInformation"); set => SetAttributeValue("bindingInformation", value); }
        public SslFlags SslFlags { get => (SslFlags)(long)GetAttributeValue("sslFlags"); set => SetAttributeValue("sslFlags", value); }

        public bool IsIPPortHostBinding => Protocol == "http" || Protocol == "https";
        public IPEndPoint EndPoint => IsIPPortHostBinding ? HttpSys.Point(BindingInformation) : null;
        public string Host => EndPoint == null ? "" : BindingInformation.Substring(BindingInformation.LastIndexOf(':') + 1);

        internal string Key => Protocol == "https" ? HttpSys.Key(BindingInformation, (long)GetAttributeValue("sslFlags")) : null;

        // Run-time values: they come from HTTP.sys and go there with the commit, never into the file.
        public byte[] CertificateHash
        {
            get => Record?.Hash;
            set
            {
                if (value == null || value.Length != 20) throw Errors.NoFact("a certificate hash that is not 20 bytes long");
                Change().Hash = value;
            }
        }

        public string CertificateStoreName
        {
            get => Record?.Store;
            set => Change().Store = value;
        }

        private CertificateRecord Record => HttpSys.Pending.TryGetValue(Entry, out var pending) ? pending : Key == null ? null : HttpSys.Find(Key);

        private CertificateRecord Change()
        {
            Entry.Snapshot.Guard();
            Entry.Snapshot.Changed = true;
            if (!HttpSys.Pending.ContainsKey(Entry)) HttpSys.Pending[Entry] = Record ?? new CertificateRecord();
            return HttpSys.Pending[Entry];
        }
    }

    public sealed class BindingCollection : ConfigurationElementCollectionBase<Binding>
    {
        internal HttpSys HttpSys { get; set; }

        internal override Binding Wrap(Entry entry) => entry.Wrapped(() => new Binding { HttpSys = HttpSys });

        public Binding Add(string bindingInformation, string bindingProtocol) => Add(Make(bindingInformation, bindingProtocol));

        public Binding Add(string bindingInformation, byte[] certificateHash, string certificateStoreName) => Add(Secured(bindingInformation, certificateHash, certificateStoreName));

        public Binding Add(string bindingInformation, byte[] certificateHash, string certificateStoreName, SslFlags sslFlags)
        {
            var binding = Secured(bindingInformation, certificateHash, certificateStoreName);
            binding.SslFlags = sslFlags;
            return Add(binding);
        }

        public void Remove(Binding element, bool removeConfigOnly) => throw Errors.NoFact("Remove with removeConfigOnly");

        private Binding Make(string information, string protocol)
        {
            var binding = CreateElement("binding");
            binding.Protocol = protocol;
            binding.BindingInformation = information;
            return binding;
        }

        private Binding Secured(string information, byte[] hash, string store)
        {
            var binding = Make(information, "https");
            binding.CertificateHash = hash;
            binding.CertificateStoreName = store;
            return binding;
        }
    }

    public sealed class Site : ConfigurationElement
    {
        internal HttpSys HttpSys { get; set; }
        internal string StateFile { get; set; }

        public string Name { get => (string)GetAttributeValue("name"); set => SetAttributeValue("name", value); }
        public long Id { get => (long)GetAttributeValue("id"); set => SetAttributeValue("id", value); }
        public bool ServerAutoStart { get => (bool)GetAttributeValue("serverAutoStart"); set => SetAttributeValue("serverAutoStart", value); }
        public BindingCollection Bindings => Entry.Child("bindings").Wrapped(() => new BindingCollection { HttpSys = HttpSys });

        // Answered by the running service, which does not know a site without http binding, nor one that was just made.
        public ObjectState State
        {
            get
            {
                if (Entry.Pending || !Bindings.Any(b => b.IsIPPortHostBinding))
                    throw new COMException("The object identifier does not represent a valid object. (Exception from HRESULT: 0x800710D8)", unchecked((int)0x800710D8));
                var line = HttpSys.Lines(StateFile).Find(l => l.EndsWith(" " + Name, StringComparison.OrdinalIgnoreCase));
                return line == null ? ObjectState.Started : (ObjectState)Enum.Parse(typeof(ObjectState), line.Substring(0, line.Length - Name.Length - 1));
            }
        }

        public ObjectState Start() => Turn(ObjectState.Started);

        public ObjectState Stop() => Turn(ObjectState.Stopped);

        private ObjectState Turn(ObjectState state)
        {
            _ = State;
            var others = HttpSys.Lines(StateFile).Where(l => !l.EndsWith(" " + Name, StringComparison.OrdinalIgnoreCase));
            File.WriteAllLines(StateFile, others.Append(state + " " + Name));
            return state;
        }
    }

    public sealed class SiteCollection : ConfigurationElementCollectionBase<Site>
    {
        internal HttpSys HttpSys { get; set; }
        internal string StateFile { get; set; }

        internal override Site Wrap(Entry entry) => entry.Wrapped(() => new Site { HttpSys = HttpSys, StateFile = StateFile });

        public new Site this[string name] => this.FirstOrDefault(s => string.Equals(s.Name, name, StringComparison.OrdinalIgnoreCase));

        public Site Add(string name, string physicalPath, int port) => throw Errors.NoFact("Sites.Add and the id that it chooses");
    }

    // ---- ServerManager --------------------------------------------------------------------------------------------------------

    public sealed class ServerManager : IDisposable
    {
        private readonly string folder;
        private readonly string file;
        private readonly bool readOnly;
        private Snapshot snapshot;
        private HttpSys httpSys;
        private bool disposed;

        // Reads nothing: a missing or broken file is told on first access.
        public ServerManager() : this(false, Path.Combine(Folder, "applicationHost.config")) { }

        public ServerManager(string applicationHostConfigurationPath) : this(false, applicationHostConfigurationPath) { }

        public ServerManager(bool readOnly, string applicationHostConfigurationPath)
        {
            if (string.IsNullOrEmpty(applicationHostConfigurationPath)) throw Errors.NoFact("a ServerManager without a path");
            this.readOnly = readOnly;
            file = applicationHostConfigurationPath;
            folder = Folder;
        }

        private static string Folder
        {
            get
            {
                var root = Environment.GetEnvironmentVariable("LYNCARR_STANDIN_INETSRV");
                if (string.IsNullOrEmpty(root)) root = Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.System), "inetsrv");
                return Path.Combine(root, "config");
            }
        }

        private Snapshot Current
        {
            get
            {
                if (disposed) throw Errors.NoFact("a ServerManager that was disposed");
                if (snapshot != null) return snapshot;
                if (File.Exists(Redirection) && (bool)GetRedirectionConfiguration().GetSection("configurationRedirection")["enabled"]) throw Errors.NoFact("shared configuration");
                httpSys = new HttpSys(folder);
                return snapshot = new Snapshot(file, Path.Combine(folder, "schema"), readOnly);
            }
        }

        private string Redirection => Path.Combine(folder, "redirection.config");

        public Configuration GetApplicationHostConfiguration() => new Configuration(Current);

        public Configuration GetRedirectionConfiguration() => new Configuration(new Snapshot(Redirection, Path.Combine(folder, "schema"), true));

        public Configuration GetWebConfiguration(string siteName) => throw Errors.NoFact("GetWebConfiguration here");

        public Configuration GetAdministrationConfiguration() => throw Errors.NoFact("GetAdministrationConfiguration");

        public SiteCollection Sites
        {
            get
            {
                var entry = Current.Section("system.applicationHost/sites");
                return entry.Wrapped(() => new SiteCollection { HttpSys = httpSys, StateFile = Path.Combine(folder, "sitestate.txt") });
            }
        }

        public object ApplicationPools => throw Errors.NoFact("ApplicationPools here: use their section");

        public object WorkerProcesses => throw Errors.NoFact("WorkerProcesses");

        // The file first, HTTP.sys second: the commit can half succeed. What was fetched before is frozen after.
        public void CommitChanges()
        {
            if (readOnly) throw Errors.NoFact("CommitChanges on a ServerManager that is read only");
            if (snapshot == null) return;
            if (snapshot.Changed)
            {
                var fault = TakeFault();
                if (fault == "changed-on-disk") snapshot.Stale = true;
                if (fault == "locked") throw snapshot.Locked();
                if (fault != "lie")
                {
                    var records = Records();
                    snapshot.Write();
                    if (fault == "httpsys") throw new Win32Exception(1312, "A specified logon session does not exist. It may already have been terminated");
                    foreach (var record in records) httpSys.Write(record.Key, record.Value);
                }
            }
            snapshot.Frozen = true;
            snapshot = null;
        }

        private Dictionary<string, CertificateRecord> Records()
        {
            var records = new Dictionary<string, CertificateRecord>();
            var kept = Current.Definition("system.applicationHost/sites", StringComparison.Ordinal) == null ? new List<Binding>() : Sites.SelectMany(s => s.Bindings).ToList();
            foreach (var binding in kept.Where(b => httpSys.Pending.ContainsKey(b.Entry)))
            {
                var record = httpSys.Pending[binding.Entry];
                if (binding.Key == null || record.Hash == null || record.Store == null) throw Errors.NoFact("a certificate hash without a store, an https protocol or an address");
                records[binding.Key] = record;
            }
            var keys = new HashSet<string>(kept.Select(b => b.Key).Where(k => k != null));
            foreach (var key in BoundBefore().Where(k => !keys.Contains(k) && httpSys.Find(k) != null))
                throw Errors.NoFact("what becomes of the HTTP.sys record " + key + " when its last binding goes");
            return records;
        }

        private IEnumerable<string> BoundBefore()
        {
            var open = new Stack<Markup>(new[] { snapshot.Before() });
            while (open.Count > 0)
            {
                var element = open.Pop();
                foreach (var child in element.Elements) open.Push(child);
                if (element.Name != "binding" || element.Attribute("protocol")?.Value != "https") continue;
                var key = HttpSys.Key(element.Attribute("bindingInformation").Value, long.Parse(element.Attribute("sslFlags")?.Value ?? "0", CultureInfo.InvariantCulture));
                if (key != null) yield return key;
            }
        }

        private string TakeFault()
        {
            var list = Path.Combine(folder, "standin-faults.txt");
            var faults = HttpSys.Lines(list);
            if (faults.Count == 0) return null;
            if (!new[] { "changed-on-disk", "locked", "httpsys", "lie" }.Contains(faults[0])) throw new NotSupportedException("stand-in: there is no fault named " + faults[0]);
            File.WriteAllLines(list, faults.Skip(1));
            return faults[0];
        }

        public void Dispose() => disposed = true;
    }
}
