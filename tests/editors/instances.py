"""A strategy of the values that a JSON Schema accepts: the words of JSON Schema that ours have."""

import re
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ondevice_bench.suite.shown import OWN_METHOD, OWN_MODEL, single_layers

LETTERS = st.characters(min_codepoint=32, max_codepoint=126)
ANYTHING = st.none() | st.booleans() | st.integers(-3, 3) | st.text(LETTERS, max_size=12)
KEYS = st.text("abcdef", min_size=1, max_size=8)
# what JSON Schema cannot say of a text: which files there are, what the numbers of a layer allow
SPECIAL = {
    OWN_METHOD: ["./mine.py:Mine"],
    OWN_MODEL: ["./net.py", "./net.py:net", "transformers:config.json", "torchvision:resnet50"],
    single_layers(): ["linear(768, 3072) at 197", "conv2d(128, 128, 3, padding=1) at 120x160"],
    r"[\s\S]*(?:\.pt|\.pth|\.safetensors)": ["w.pt", "w.safetensors"],
}


@st.composite
def accepted(draw, schema):
    """A value that the schema accepts."""
    value = _Drawn(schema, draw).of(schema)
    if not Draft202012Validator(schema).is_valid(value):
        draw(st.nothing())
    return value


@dataclass(frozen=True)
class _Drawn:
    """Draws values. Some are not accepted: words that limit others (`if`, `not`) are left out."""

    root: dict[str, Any]
    draw: Any

    def of(self, node):
        if node is True or not node:
            return self.draw(ANYTHING)
        if "$ref" in node:
            return self.of(self._referred(node["$ref"]))
        if "const" in node:
            return node["const"]
        if "enum" in node:
            return self.draw(st.sampled_from(node["enum"]))
        if "anyOf" in node:
            return self.of(self.draw(st.sampled_from(node["anyOf"])))
        kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
        return getattr(self, f"_{self.draw(st.sampled_from(kinds))}")(node)

    def _referred(self, reference):
        node = self.root
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
        return node

    def _null(self, node):
        return None

    def _boolean(self, node):
        return self.draw(st.booleans())

    def _integer(self, node):
        least = node.get("minimum", node.get("exclusiveMinimum", -9) + 1)
        most = node.get("maximum", node.get("exclusiveMaximum", least + 2**40) - 1)
        step = node.get("multipleOf", 1)
        return step * self.draw(st.integers(-(-least // step), most // step))

    def _number(self, node):
        low, high = node.get("minimum", node.get("exclusiveMinimum")), node.get("maximum")
        return self.draw(
            st.integers(1, 3) | st.floats(low, high, allow_nan=False, allow_infinity=False)
        )

    def _string(self, node):
        if "pattern" in node:
            return self._matching(node["pattern"])
        return self.draw(st.text(LETTERS, min_size=node.get("minLength", 0), max_size=12))

    def _matching(self, pattern):
        inner = re.fullmatch(r"\^\(\?:(.*)\)\$\(\?!\\n\)", pattern, re.DOTALL)
        if inner and inner[1] in SPECIAL:
            return self.draw(st.sampled_from(SPECIAL[inner[1]]))
        return self.draw(st.from_regex(pattern, alphabet=LETTERS))

    def _array(self, node):
        least = node.get("minItems", 0)
        most = min(node.get("maxItems", least + 2), least + 3)  # a fleet may have 1000 boards
        length = self.draw(st.integers(least, most))
        items = [self.of(node["items"]) for _ in range(length)]
        return items if not node.get("uniqueItems") else list(dict.fromkeys(items))

    def _object(self, node):
        fixed = {
            key: each
            for key, each in node.get("properties", {}).items()
            if each and key != "extends"
        }
        always = {*node.get("required", ()), *node.get("then", {}).get("required", ())}
        value = {key: self.of(fixed[key]) for key in sorted(always)}
        choices = [("properties", key) for key in fixed if key not in always]
        choices += [("pattern", each) for each in node.get("patternProperties", {})]
        if isinstance(more := node.get("additionalProperties", True), dict):
            choices += [("more", more)] * 3
        least = max(node.get("minProperties", 0) - len(always), 0)
        most = node.get("maxProperties", least + 2)
        for _ in range(self.draw(st.integers(least, max(least, most)))) if choices else ():
            match self.draw(st.sampled_from(choices)):
                case "properties", key:
                    value[key] = self.of(fixed[key])
                case "pattern", pattern:
                    value[self._matching(pattern)] = self.of(node["patternProperties"][pattern])
                case _:
                    names = node.get("propertyNames")
                    key = self.of({"type": "string", **names}) if names else self.draw(KEYS)
                    value[key] = self.of(more)
        return value
