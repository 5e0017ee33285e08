"""What can be understood of a text without a model: its subject, its sums, its main sentences."""

from __future__ import annotations

import ast
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

LEADS = re.compile(
    r"^(?:(?:hey|hi|hello|ok|okay|so|well|and|but|then|now|please|also)\b[,!.\s]*)*"
    r"(?:(?:can|could|would|will) you (?:please |kindly )?|i (?:want|need|would like|'d like) (?:you )?to "
    r"|i want |i need |help me (?:to )?|let'?s |let us |please |do you know |tell me (?:something )?"
    r"|show me |give me |make me |write me |explain (?:to me )?|describe |discuss )*"
    r"(?:i (?:think|believe|feel|guess|know|mean) (?:that )?)?"
    r"(?:about |(?:how|what|why|who|when|where)"
    r"(?:'s| is| are| was| were| do| does| did| can| could| should| would)?"
    r"(?: i| we| you| one)? (?:to )?|whether |if )?",
    re.IGNORECASE,
)
FILLER = frozenset(
    """
    a about after all also am an and any are as at be because been but by can could did do does doing for from
    get give go going had has have he her here him his how i if in into is it its just know let like make me
    more much my need no not now of off on one only or other our out over please really right said say she so
    some something such tell than that the their them then there these they thing things think this those to
    too up us very want was way we well were what when where which while who whom why will with would yes you
    your yours write compare plan ask show help work good better best idea ideas
    """.split()  # noqa: SIM905 - a list of words is read as words
)

OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
IN_WORDS = (
    (r"(\d+(?:\.\d+)?)\s*(?:%|percent) of\s*(\d+(?:\.\d+)?)", r"(\1/100*\2)"),
    (r"\bsquare root of\s*(\d+(?:\.\d+)?)", r"(\1**0.5)"),
    (r"(\d+(?:\.\d+)?)\s*squared\b", r"(\1**2)"),
    (r"\bdivided by\b|\bover\b|÷", "/"),
    (r"\bmultiplied by\b|\btimes\b|×|·", "*"),
    (r"(?<=[\d)])\s*x\s*(?=[\d(])", "*"),
    (r"\bplus\b", "+"),
    (r"\bminus\b|\u2212", "-"),
    (r"\bto the power of\b|\^", "**"),
    (r"(?<=\d)[,'](?=\d{3}\b)", ""),
)
SUM_LEAD = re.compile(
    r"^(?:(?:what(?:'s| is)|how much is|calculate|compute|and)\s+)?(?:the )?", re.IGNORECASE
)
SUM = re.compile(SUM_LEAD.pattern + r"([\d\s.+\-*/%()]+?)\s*(?:=\s*)?[?.!]*$", re.IGNORECASE)


def subject_of(text: str, longest: int = 9) -> str:
    """What a sentence is about, as a phrase for the middle of another sentence."""
    first = re.split(r"(?<=[.!?])\s|\n", text.strip(), maxsplit=1)[0]
    bare = LEADS.sub("", first, count=1).strip(" ?.!,:;\"'\u201c\u201d")
    words = (bare or first.strip(" ?.!")).split()[:longest]
    while len(words) > 1 and words[-1].lower().strip(",;") in FILLER:
        words.pop()
    phrase = re.sub(r"[*_`#<>\[\]|]", "", " ".join(words)).strip(" ,;")
    phrase = mirrored(phrase)
    if phrase[:1].isupper() and (phrase[1:2].islower() or len(phrase.split(" ", 1)[0]) == 1):
        head = phrase.split(" ", 1)[0].lower()
        if head in FILLER or first.startswith(phrase):
            phrase = phrase[:1].lower() + phrase[1:]
    return phrase or "this"


def mirrored(text: str) -> str:
    """A phrase as its listener says it: "my cat" becomes "your cat"."""
    swaps = {
        "my": "your",
        "i": "you",
        "me": "you",
        "am": "are",
        "mine": "yours",
        "myself": "yourself",
        "our": "your",
    }
    return re.sub(
        r"\b(?:my|i|me|am|mine|myself|our)\b", lambda m: swaps[m[0].lower()], text, flags=re.IGNORECASE
    )


def keywords(text: str) -> list[str]:
    """The words that carry the meaning, in order, each once."""
    words = re.findall(r"[^\W\d_][\w'-]+", text.lower())
    return list(dict.fromkeys(word for word in words if word not in FILLER and len(word) > 2))


def calculate(text: str) -> tuple[str, float | None] | None:
    """The sum that a message consists of, as written, and its value if it has one; None if it is no sum."""
    spoken = text.strip().lower()
    written = SUM_LEAD.sub("", text.strip()).rstrip(" ?!.=")
    if len(spoken) > 120:
        return None
    for pattern, symbol in IN_WORDS:
        spoken = re.sub(pattern, symbol, spoken)
    match = SUM.match(spoken)
    if match is None or not re.search(r"\d\s*[-+*/%]|\d\)", match[1]):
        return None
    try:
        return written, _value(ast.parse(match[1].strip(), mode="eval").body)
    except SyntaxError:
        return None
    except (ValueError, TypeError, ArithmeticError):
        return written, None


def _value(node: ast.expr) -> float:
    """The value of an expression of numbers. Raises ValueError for anything else, or anything huge."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            first, second = _value(left), _value(right)
            if isinstance(op, ast.Pow) and (abs(first) > 1e6 or abs(second) > 64):
                raise ValueError("too large to write down")
            result = OPERATORS[type(op)](first, second)
            # A root of a negative number is complex, which `float` refuses as a TypeError.
            return result if isinstance(result, int) else float(result)
        case _:
            raise ValueError("not a sum")


def number_text(value: float) -> str:
    """A number for people: thousands apart, no more digits than matter."""
    if float(value).is_integer() and abs(value) < 1e21:
        return f"{int(value):,}"
    return f"{value:,.6f}".rstrip("0").rstrip(".") if 1e-4 < abs(value) < 1e15 else f"{value:.6g}"


def main_sentences(text: str, count: int = 3) -> list[str]:
    """The sentences that share most with the rest of the text, in their order."""
    sentences = [part.strip() for part in re.split(r"(?<=[.!?])\s+|\n+", text) if len(part.split()) > 3]
    weights = Counter(word for sentence in sentences for word in keywords(sentence))
    scores = [
        sum(weights[word] for word in keywords(sentence)) / (len(sentence.split()) + 6)
        for sentence in sentences
    ]
    best = sorted(range(len(sentences)), key=lambda index: -scores[index])[:count]
    return [sentences[index] for index in sorted(best)]


def frequent_words(text: str, count: int = 4) -> list[str]:
    """The words that a text comes back to."""
    words = re.findall(r"[^\W\d_][\w'-]+", text.lower())
    counted = Counter(word for word in words if word not in FILLER and len(word) > 3)
    return [word for word, _ in counted.most_common(count)]


def best_entry(text: str, entries: Iterable[tuple[Sequence[str], str]]) -> str:
    """The entry with the longest key that is in the text as a phrase, or nothing."""
    lowered = f" {re.sub(r'[^a-z0-9_.]+', ' ', text.lower())} ".replace(". ", " ")
    found = [(len(key), body) for keys, body in entries for key in keys if f" {key} " in lowered]
    return max(found, key=lambda hit: hit[0])[1] if found else ""


def closest(text: str, candidates: Sequence[str]) -> str:
    """The candidate that shares most keywords with the text, or nothing if none does."""
    wanted = set(keywords(text)) | {word.rstrip("s'") for word in keywords(text)}
    scores = [
        len(wanted & ({*keywords(each)} | {w.rstrip("s'") for w in keywords(each)})) for each in candidates
    ]
    best = max(range(len(candidates)), key=lambda index: scores[index], default=-1)
    return candidates[best] if best >= 0 and scores[best] else ""
