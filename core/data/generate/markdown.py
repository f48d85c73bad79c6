"""Markdown -> records and sections: catalogue lists, field lists, tables, definitions, and prose under headings."""

import re
from collections import Counter
from dataclasses import dataclass, field, replace

from markdown_it.token import Token

from core.data.generate import clean, tables
from core.data.generate.documents import Block, Document, Field, Passage, Record, Section
from core.data.generate.fields import LICENCE, SENTENCE_END, is_empty, key_of, kind_of, opaque_columns
from core.data.generate.fields import field as field_of
from core.data.generate.lexicon import word_set
from core.data.generate.phrases import is_advice
from core.data.generate.tables import LONGEST_NAME, LONGEST_VALUE, Table, tidy_name

LONGEST_LINE = 50_000  # a longer one is no prose; its paragraph is left out
LONGEST_HEADING = 150
MOST_LINES = 100_000  # a parsed line takes a few kilobytes of memory
MOST_BARS, MOST_BARS_IN_ALL = 200, 300_000  # "|" of a line and of a text: so many cells may tables have
FRONT = word_set(
    "author authors auteur auteurs date version licence license category categorie publisher editeur language langue "
    "status statut audience public subject sujet"
)
MOST_RECORDS = 50_000
SEPARATOR = re.compile(r"\s*(?:[-–—:])\s+|\s*:\s*$")
FOOTNOTE_TEXT = re.compile(r"\s{0,3}\[\^[^\]\s]{1,40}\]:")
DEFINITION = re.compile(r"\n:\s+")
LEGEND = re.compile(r"(.{1,30}?)\s*=\s*(.{2,200})", re.DOTALL)
SUMMARY = re.compile(r"<summary[^<>]*>(.*?)</summary>", re.DOTALL | re.IGNORECASE)
NUMBERING = re.compile(r"^(?:(?:\d+\.)+\d*|\d+\)|[IVX]+\.|[A-Z]\.)\s+")


@dataclass(eq=False)  # looked up as itself, in sets
class _Part:
    """A heading and what stands under it, while the document is read."""

    level: int
    heading: str
    line: int
    parent: "_Part | None" = None
    blocks: list[Block] = field(default_factory=list)
    labels: list[tuple[str, str, int, int]] = field(default_factory=list)  # "- **Label** : value"
    until: int | None = None  # blocks before the first thing that was left out


@dataclass
class _Entry:
    name: str
    value: str
    codes: list[str]
    lead: str  # how its name is marked: link, strong or code
    colon: bool


def read(document: Document, text: str) -> None:
    """Fill in the document's title, records and sections."""
    lines = text.split("\n")
    front = _front_matter(document, lines)
    if len(lines) > MOST_LINES:
        document.left_out[f"lines after the first {MOST_LINES:,}"] += len(lines) - MOST_LINES
        del lines[MOST_LINES:]
    reader = _Reader(document)
    found = list(tables.regions(lines))
    html = {begin: (begin, end, lines[begin:end]) for begin, end in found}
    for begin, end in found:
        lines[begin:end] = [""] * (end - begin)
    _drop_long_and_footnotes(document, lines)
    tokens = clean.markdown.parse("\n".join(lines))
    reader.walk(tokens, html)
    reader.finish(front)


def _front_matter(document: Document, lines: list[str]) -> list[tuple[str, str, int]]:
    """The `name: value` lines between the first two `---`, which are blanked."""
    if not lines or lines[0].strip() != "---":
        return []
    end = next((at for at, line in enumerate(lines[1:200], 1) if line.strip() in ("---", "...")), None)
    if end is None:
        return []
    found = []
    for at, line in enumerate(lines[1:end], 1):
        pair = re.match(r"([\w -]{1,40}):\s+(.{1,500})$", line)
        if pair:
            value = clean.plain(pair[2].strip().strip("\"'").strip("[]"))
            found.append((pair[1].strip(), value, at + 1))
    lines[: end + 1] = [""] * (end + 1)
    return found


def _drop_long_and_footnotes(document: Document, lines: list[str]) -> None:
    footnote, bars = False, 0
    for at, line in enumerate(lines):
        bars += line.count("|")
        if len(line) > LONGEST_LINE:
            document.left_out[f"lines longer than {LONGEST_LINE:,} characters"] += 1
            lines[at] = ""
        elif line.count("|") > MOST_BARS or (bars > MOST_BARS_IN_ALL and "|" in line):
            document.left_out["rows of tables with too many cells"] += 1
            lines[at] = ""
        elif FOOTNOTE_TEXT.match(line):
            footnote, lines[at] = True, ""
        elif footnote and line.startswith(("    ", "\t")):
            lines[at] = ""
        elif line.strip():
            footnote = False


class _Reader:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.root = _Part(0, "", 1)
        self.parts = [self.root]
        self.part = self.root
        self.tables: list[Table] = []
        self.entries: list[tuple[_Entry, _Part, int, int]] = []
        self.legends: dict[str, dict[str, str]] = {}
        self.explained: set[int] = set()  # lines of paragraphs that introduce a legend: "Status:"
        self.details: list[_Part] = []
        self.with_entries: set[_Part] = set()

    # Reading

    def walk(self, tokens: list[Token], html: dict[int, tuple[int, int, list[str]]]) -> None:
        waiting = sorted(html)
        depth, ordered, numbers, in_item = 0, [], [], []
        at = 0
        while at < len(tokens):
            token = tokens[at]
            while waiting and token.map and waiting[0] <= token.map[0]:
                self.html_table(html[waiting.pop(0)])
            if token.type == "heading_open":
                self.heading(int(token.tag[1]), tokens[at + 1])
                at += 2
            elif token.type in ("bullet_list_open", "ordered_list_open"):
                depth += 1
                ordered.append(token.type.startswith("o"))
                numbers.append(int(token.attrGet("start") or 1))
            elif token.type in ("bullet_list_close", "ordered_list_close"):
                depth -= 1
                ordered.pop(), numbers.pop()
            elif token.type == "list_item_open":
                in_item.append(True)
            elif token.type == "list_item_close":
                in_item.pop()
                numbers[-1] += 1
            elif token.type == "paragraph_open":
                first = bool(in_item and in_item[-1])
                if in_item:
                    in_item[-1] = False  # what follows in the item is no item itself
                mark = f"{numbers[-1]}. " if first and ordered and ordered[-1] else "- "
                self.paragraph(tokens[at + 1], depth if first else 0, mark)
                at += 2
            elif token.type == "table_open":
                at = self.table(tokens, at)
            elif token.type in ("fence", "code_block"):
                self.gap()
            elif token.type == "html_block":
                self.html(token)
            at += 1
        for begin in waiting:
            self.html_table(html[begin])

    def heading(self, level: int, token: Token) -> None:
        text = clean.words(clean.inline(token.content))
        line = token.map[0] + 1
        if len(text) > LONGEST_HEADING or (
            text.endswith(".") and len(text) > 60
        ):  # a paragraph in large letters
            self.add(Block(text, line, token.map[1]))
            return
        self.open(level, NUMBERING.sub("", text), line)
        self.details.clear()

    def open(self, level: int, heading: str, line: int) -> None:
        parent = self.part
        while parent.parent and parent.level >= level:
            parent = parent.parent
        self.part = _Part(level, heading, line, parent)
        self.parts.append(self.part)

    def paragraph(self, token: Token, depth: int, mark: str) -> None:
        if len(token.content) > clean.LONGEST_TEXT:
            self.document.left_out[f"paragraphs longer than {clean.LONGEST_TEXT:,} characters"] += 1
            return
        inner = clean.inline(token.content)
        first, last = token.map[0] + 1, token.map[1]
        if clean.is_navigation(inner):
            return
        text = clean.words(inner)
        if not any(each.isalnum() for each in text):
            return
        entry = _entry(inner) if depth else None
        if entry and entry.lead == "strong" and not entry.codes:
            told = any(is_advice(entry.name, language) for language in ("en", "fr"))
            if entry.colon and entry.value and not told:
                self.part.labels.append((entry.name, entry.value, first, last))
                self.add(Block(text, first, last, True, depth - 1, (entry.name,), entry.name), mark)
                return
        elif entry and (entry.value or entry.codes) and len(self.entries) < MOST_RECORDS:
            self.entries.append((entry, self.part, first, last))
            return
        if depth and self.legend(text):
            return
        if not depth and DEFINITION.search(token.content):
            self.definition(token.content, first)
            return
        strong = clean.bold(inner)
        lead = strong[0] if strong and text.startswith(strong[0]) else ""
        self.add(Block(text, first, last, bool(depth), max(0, depth - 1), tuple(strong), lead), mark)

    def add(self, block: Block, mark: str = "- ") -> None:
        if block.item:
            text = f"{'  ' * block.depth}{mark}{block.text}"
            block = Block(text, block.first, block.last, True, block.depth, block.bold, block.lead)
        self.part.blocks.append(block)

    def gap(self) -> None:
        """Something is left out here, such as code: what announced it goes, too."""
        blocks = self.part.blocks
        if blocks and blocks[-1].text.rstrip().endswith(":"):
            last = blocks.pop()
            *before, _ = SENTENCE_END.split(last.text)
            kept = " ".join(before)
            if kept and not last.item:
                blocks.append(replace(last, text=kept))
        if self.part.until is None:
            self.part.until = len(blocks)

    def legend(self, text: str) -> bool:
        """Whether this item explains a code: "R = recommended" under "Status:"."""
        pair = LEGEND.fullmatch(text)
        blocks = self.part.blocks
        if not pair or not blocks or not blocks[-1].text.endswith(":") or blocks[-1].item:
            return False
        words = key_of(blocks[-1].text).split()
        if not 1 <= len(words) <= 3:
            return False
        self.explained.add(blocks[-1].first)
        self.legends.setdefault(words[-1], {})[pair[1].strip().casefold()] = pair[2].strip()
        return True

    def definition(self, source: str, first: int) -> None:
        term, *rest = DEFINITION.split(source)
        name = tidy_name(clean.plain(term.split("\n")[-1]))
        text = " ".join(clean.plain(each) for each in rest)
        if name and text and len(name) <= LONGEST_NAME:
            last = first + source.count("\n")
            self.entries.append((_Entry(name, text, [], "term", False), self.part, first, last))

    def table(self, tokens: list[Token], at: int) -> int:
        header, rows, cells = [], [], []
        while tokens[at].type != "table_close":
            token = tokens[at]
            if token.type == "tr_open":
                cells, line = [], token.map[0] + 1 if token.map else 1
            elif token.type == "inline":
                cells.append(clean.plain(token.content))
            elif token.type == "tr_close":
                if not header:
                    header = cells
                elif len(rows) < tables.MOST_ROWS and any(cells):
                    rows.append((line, line, cells[: tables.MOST_COLUMNS]))
            at += 1
        if header and rows:
            self.tables.append(Table(header[: tables.MOST_COLUMNS], rows, self.section_of(self.part)))
        self.gap()
        return at

    def html_table(self, region: tuple[int, int, list[str]]) -> None:
        begin, end, lines = region
        table = tables.html_table(lines, 0, end - begin, self.section_of(self.part))
        if table:
            table.rows = [(first + begin, last + begin, cells) for first, last, cells in table.rows]
            self.tables.append(table)
        self.gap()

    def html(self, token: Token) -> None:
        line = token.map[0] + 1
        content = token.content[: clean.LONGEST_TEXT]
        if "</details" in content.lower() and self.details:
            self.part = self.details.pop()
        found = SUMMARY.search(content)
        if found:
            self.details.append(self.part)
            part = _Part(self.part.level + 1, clean.one_line(found[1]), line, self.part)
            self.parts.append(part)
            self.part = part
            content = content[found.end() :]
        if re.match(r"\s*<(?:script|style|svg|!--|pre|img)", content, re.IGNORECASE):
            return
        text = clean.plain(content)
        if len(text) > 20 and not clean.is_navigation(clean.inline(content)):
            self.add(Block(text, line, token.map[1]))

    # Deciding what it was

    def section_of(self, part: _Part) -> str:
        return "" if part is self.title_part() else part.heading

    def title_part(self) -> _Part | None:
        headings = self.parts[1:]
        return headings[0] if headings and headings[0].level == 1 else None

    def finish(self, front: list[tuple[str, str, int]]) -> None:
        document = self.document
        title = next((value for name, value, _ in front if key_of(name) in ("title", "titre")), "")
        highest = [part for part in self.parts[1:] if part.level == 1]
        if not title and len(highest) == 1 and highest[0] is self.parts[1]:
            title = highest[0].heading
        document.title = title
        self._front_record(front, title)
        marked = self._field_parts()
        cards = set(marked)
        opaque = self._opaque(marked)
        for part in marked:
            document.records.append(self._card(part, opaque))
        self.with_entries = {part for _, part, *_ in self.entries}
        for each in self._entries(cards):
            document.records.append(each)
        document.records += tables.records(document.file, self.tables, self.legends, document.left_out)
        document.records.sort(key=lambda record: record.passage.first)
        for part in self.parts:
            if part not in cards:
                self._section(part)

    def _front_record(self, front: list[tuple[str, str, int]], title: str) -> None:
        fields = [field_of(name, value) for name, value, _ in front if key_of(name) not in ("title", "titre")]
        fields = [each for each in fields if each and key_of(each.name) in FRONT]
        if title and fields:
            shown = "; ".join(f"{name}: {value}" for name, value, _ in front)
            passage = Passage(self.document.file, front[0][2], front[-1][2], shown)
            self.document.records.append(Record(title, tuple(fields), "", passage))

    def _field_parts(self) -> list[_Part]:
        """The headings whose lists are fields of the thing that they name: labels that come again, or are known."""
        times = Counter(label for part in self.parts for label in {key_of(name) for name, *_ in part.labels})
        found = []
        for part in self.parts[1:]:
            own = [key_of(name) for name, *_ in part.labels]
            fields = sum(times[key] > 1 or kind_of(key) != "other" for key in own)
            if own and fields * 2 >= len(own) and fields and len(set(own)) == len(own) and part.heading:
                found.append(part)
        return found

    def _opaque(self, cards: list[_Part]) -> dict[str, str]:
        """Fields about which nothing can be asked, as in tables."""
        rows = [{name: value for name, value, _, _ in part.labels} for part in cards]
        opaque = opaque_columns(rows, list(dict.fromkeys(name for row in rows for name in row)))
        for name, why in opaque.items():
            self.document.left_out[f"{why} ({name})"] += 1
        return opaque

    def _card(self, part: _Part, opaque: dict[str, str]) -> Record:
        fields = [
            tables.decoded(name, value, self.legends) or field_of(name, value[:LONGEST_VALUE])
            for name, value, _, _ in part.labels
            if name not in opaque
        ]
        last = max(part.labels[-1][3], *(block.last for block in part.blocks))
        text = "\n".join([part.heading, *(block.text for block in part.blocks)])
        above = part.parent if part.parent and part.parent is not self.title_part() else None
        return Record(
            tidy_name(part.heading),
            tuple(each for each in fields if each),
            above.heading if above else "",
            Passage(self.document.file, part.line, last, text),
        )

    def _entries(self, cards: set[_Part]) -> list[Record]:
        found = []
        for part in self.parts:
            if part not in cards:
                for name, value, first, last in part.labels:
                    self.entries.append((_Entry(name, value, [], "strong", True), part, first, last))
        first_code_is_licence = _mostly_licences([entry for entry, *_ in self.entries])
        for entry, part, first, last in self.entries:
            name = tidy_name(entry.name)
            if not name or is_empty(name) or len(name) > LONGEST_NAME:
                self.document.left_out["entries without a usable name"] += 1
                continue
            fields = []
            if entry.value:
                fields.append(field_of("description", entry.value[:LONGEST_VALUE]))
            codes = [code for code in entry.codes if not is_empty(code)]
            if codes and first_code_is_licence and LICENCE.match(codes[0]):
                fields.append(field_of("licence", codes.pop(0)))
            fields += [_tags(codes)] if codes else []
            text = f"{name} - {entry.value} {' '.join(entry.codes)}".strip()
            passage = Passage(self.document.file, first, last, text)
            kept = tuple(each for each in fields if each)
            if kept:
                found.append(Record(name, kept, self.section_of(part), passage))
        return found

    def _section(self, part: _Part) -> None:
        labels = {first for _, _, first, _ in part.labels}
        hidden = self.explained | (labels if len(labels) > 1 else set())
        blocks = [block for block in part.blocks if block.first not in hidden]
        if len(labels) > 1 and part.until is not None:
            part.until = 0
        while blocks and blocks[-1].text.rstrip().endswith(":"):
            blocks.pop()
        if not blocks:
            return
        text = "\n".join(block.text for block in blocks)
        passage = Passage(self.document.file, part.line, max(block.last for block in blocks), text)
        heading = part.heading or self.document.title
        more = part.until is not None or part in self.with_entries
        self.document.sections.append(Section(heading, tuple(blocks), passage, part.until, more))


def _entry(tokens: list[Token]) -> _Entry | None:
    """An item that begins with a name: [Name](address) - description `licence` `platform`; None if it does not."""
    tokens = [token for token in tokens if token.content != "" or token.type != "text"]
    if not tokens:
        return None
    first = tokens[0]
    if first.type == "code_inline":
        name, lead, rest = first.content.strip(), "code", tokens[1:]
    elif first.type in ("link_open", "strong_open"):
        closing = first.type.replace("open", "close")
        end = next((at for at, token in enumerate(tokens) if token.type == closing), None)
        if end is None:
            return None
        name, lead, rest = clean.words(tokens[1:end]), first.type.removesuffix("_open"), tokens[end + 1 :]
    else:
        return None
    colon = name.endswith(":")
    while rest and (_is_sign(rest[0]) or (rest[0].type == "text" and rest[0].content.isspace())):
        rest = rest[1:]
    codes: list[str] = []
    while rest and (
        rest[-1].type == "code_inline" or (rest[-1].type == "text" and not rest[-1].content.strip())
    ):
        token, rest = rest[-1], rest[:-1]
        if token.type == "code_inline":
            codes.insert(0, token.content.strip())
    before = rest[0].content if rest and rest[0].type == "text" else ""
    separator = SEPARATOR.match(before)
    if not colon and not separator:
        return None
    colon = colon or ":" in separator[0]
    value = clean.words(rest)
    if not name.endswith(":"):
        value = re.sub(r"^\s*[-–—:]\s*", "", value)
    name = name.rstrip(":").strip()
    if not name or len(name) > LONGEST_NAME:
        return None
    return _Entry(name, value, codes, lead, colon)


def _is_sign(token: Token) -> bool:
    """A code span or picture that says nothing by itself, such as `⚠`."""
    return token.type == "image" or (
        token.type == "code_inline" and not any(each.isalnum() for each in token.content)
    )


def _mostly_licences(entries: list[_Entry]) -> bool:
    coded = [entry.codes[0] for entry in entries if entry.codes]
    return bool(coded) and sum(bool(LICENCE.match(code)) for code in coded) * 2 > len(coded)


def _tags(codes: list[str]) -> Field | None:
    value = "/".join(codes)
    return field_of("platform", value) if value else None
