"""Checks a page of `report`: every tag closed in turn, ids once, references to ids that are there, nothing from outside.

Usage: check_page.py FILE. Prints what is wrong, a line each; exit status 1 where something is.
"""
import re
import sys
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.ids, self.references, self.faults, self.tags = [], [], [], [], set()

    def handle_starttag(self, tag, attributes):
        self.see(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.see(tag, attributes)

    def see(self, tag, attributes):
        self.tags.add(tag)
        if tag in {"script", "link", "img", "iframe", "object", "embed", "base"}:
            self.faults.append(f"line {self.getpos()[0]}: <{tag}>")
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in {"href", "xlink:href", "aria-labelledby", "src"}:
                self.references.append(value.lstrip("#"))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"line {self.getpos()[0]}: </{tag}> closes something else")


text = open(sys.argv[1], encoding="utf-8").read()
page = Page()
page.feed(text)
page.close()
faults = page.faults + [f"<{tag}> is never closed" for tag in page.open]
faults += [f"id {i} is there more than once" for i in sorted({i for i in page.ids if page.ids.count(i) > 1})]
faults += [f"reference to {r}, which is nowhere" for r in page.references if r not in page.ids]
faults += [f"names {m}" for m in re.findall(r"(?:https?:)?//[\w.]+", text)]
faults += [f"style reads {m}" for m in re.findall(r"@import|url\((?!#)[^)]*\)", text)]
faults += [f"<{tag}> is missing" for tag in ("html", "head", "style", "body", "table") if tag not in page.tags]
print("\n".join(faults))
sys.exit(1 if faults else 0)
