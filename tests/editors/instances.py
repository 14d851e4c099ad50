"""A strategy of the values that a JSON Schema accepts: the words of JSON Schema that ours have."""

import re

from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ondevice_bench.suite.shown import OWN_METHOD, OWN_MODEL, single_layers

LETTERS = st.characters(min_codepoint=32, max_codepoint=126)
TEXTS = st.text(LETTERS, max_size=12)
# what JSON Schema cannot say of a text: which files there are, what the numbers of a layer allow
SPECIAL = {
    OWN_METHOD: ["./mine.py:Mine"],
    OWN_MODEL: ["./net.py", "./net.py:net", "transformers:config.json", "torchvision:resnet50"],
    single_layers(): ["linear(768, 3072) at 197", "conv2d(128, 128, 3, padding=1) at 120x160"],
    r"[\s\S]*(?:\.pt|\.pth|\.safetensors)": ["w.pt", "w.safetensors"],
}


def accepted(schema):
    """Values that the schema accepts."""
    validator = Draft202012Validator(schema)
    return _Drawn(schema).of(schema).filter(validator.is_valid)


class _Drawn:
    def __init__(self, root):
        self.root = root
        self.known = {}

    def of(self, node):
        """Values for a node. Where a word limits others (`if`, `not`), some are not accepted."""
        if node is True or not node:
            return st.none() | st.booleans() | st.integers(-3, 3) | TEXTS
        if "$ref" in node:
            return st.deferred(lambda: self._referred(node["$ref"]))
        if "const" in node:
            return st.just(node["const"])
        if "enum" in node:
            return st.sampled_from(node["enum"])
        if "anyOf" in node:
            return st.one_of([self.of(each) for each in node["anyOf"]])
        kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
        return st.one_of([getattr(self, f"_{kind}")(node) for kind in kinds])

    def _referred(self, reference):
        if reference not in self.known:
            node = self.root
            for step in reference.removeprefix("#/").split("/"):
                node = node[step]
            self.known[reference] = self.of(node)
        return self.known[reference]

    def _null(self, node):
        return st.none()

    def _boolean(self, node):
        return st.booleans()

    def _integer(self, node):
        least = node.get("minimum", node.get("exclusiveMinimum", -9) + 1)
        most = node.get("maximum", node.get("exclusiveMaximum", least + 2**40) - 1)
        step = node.get("multipleOf", 1)
        return st.integers(-(-least // step), most // step).map(lambda value: value * step)

    def _number(self, node):
        low, high = node.get("minimum", node.get("exclusiveMinimum")), node.get("maximum")
        floats = st.floats(low, high, allow_nan=False, allow_infinity=False)
        return floats.filter(lambda value: value != node.get("exclusiveMinimum")) | st.integers(1, 3)

    def _string(self, node):
        if "pattern" not in node:
            return st.text(LETTERS, min_size=node.get("minLength", 0), max_size=12)
        return self._matching(node["pattern"])

    def _matching(self, pattern):
        inner = re.fullmatch(r"\^\(\?:(.*)\)\$\(\?!\\n\)", pattern, re.DOTALL)
        if inner and inner[1] in SPECIAL:
            return st.sampled_from(SPECIAL[inner[1]])
        return st.from_regex(pattern, alphabet=LETTERS).filter(lambda text: len(text) < 40)

    def _array(self, node):
        return st.lists(
            self.of(node["items"]),
            min_size=node.get("minItems", 0),
            max_size=node.get("maxItems", node.get("minItems", 0) + 2),
            unique_by=repr if node.get("uniqueItems") else None,
        )

    def _object(self, node):
        fixed = {key: self.of(each) for key, each in node.get("properties", {}).items() if each}
        always = {*node.get("required", ()), *node.get("then", {}).get("required", ())}
        others = [key for key in fixed if key not in always and key != "extends"]
        pairs = [st.tuples(st.just(key), fixed[key]) for key in others]
        pairs += [
            st.tuples(self._matching(pattern), self.of(each))
            for pattern, each in node.get("patternProperties", {}).items()
        ]
        more = node.get("additionalProperties", True)
        if isinstance(more, dict):
            keys = self.of({"type": "string", **node["propertyNames"]}) if "propertyNames" in node else (
                st.from_regex(r"\A[a-z]{1,8}\Z")
            )
            pairs.append(st.tuples(keys, self.of(more)))
        least = max(node.get("minProperties", 0) - len(always), 1 if not always and pairs else 0)
        some = (
            st.lists(st.one_of(pairs), min_size=least, max_size=node.get("maxProperties", least + 2))
            if pairs
            else st.just([])
        )
        whole = st.fixed_dictionaries({key: fixed[key] for key in sorted(always)})
        return st.builds(lambda first, then: {**dict(then), **first}, whole, some)
