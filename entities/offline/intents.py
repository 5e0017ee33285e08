"""How the offline model recognises what a message wants: patterns of English, tried one after the other."""

from __future__ import annotations

import re

POLITE = r"^\W*(?:(?:please|can you|could you|would you|let'?s|i want you to|hey|ok|now)\b[,\s]*)*"


def _pattern(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)


DEBATE = _pattern(POLITE, r"(?:start a |have a )?debate\b\s*[:,\-]?\s*(.*)$")
TIME = _pattern(
    r"\b(?:what(?:'s| is)? (?:the )?(?:current )?(?:time|date|day)|what day|current time|today'?s date)\b"
)
REMEMBER = _pattern(
    POLITE, r"(?:remember|note|keep in mind|memorise|memorize)\b(?: down)?[:,]?\s*(?:that\s+)?(.+)$"
)
RECALL = _pattern(
    r"\b(?:do you (?:still )?(?:remember|recall)|what (?:do|did) you (?:remember|know|note)|your notes"
    r"|my notes|the notes|recall|what (?:have i told|did i tell) you)\b"
)
ABOUT_ME = _pattern(
    r"^\W*(?:(?:what|where|when|who|how old|how many \w+)(?:'s| is| are| was| were)? my\b"
    r"|(?:what|where|when|which|who)(?: \w+)? (?:do|did|am|was|have) i\b|what(?:'s| is) the name of my\b)"
)
WORKER = _pattern(
    POLITE,
    r"(?:ask|have|let|get|tell|spawn|start|give|send)\s+(?:a|another|some|one)?\s*workers?\b",
    r"(?:\s+(?:to|that|which|for|on))?[:,]?\s*(.*)$",
)
GREETING = _pattern(
    r"^\W*(?:hi|hello|hey|hallo|good (?:morning|evening|afternoon|day)|greetings|howdy|hola|salut|servus)\b"
    r"[\w\s,!.]{0,24}$"
)
THANKS = _pattern(
    r"^\W*(?:thanks|thank you|thx|cheers|great|perfect|nice|awesome|cool|merci|danke)\b[\w\s,!.]{0,30}$"
)
BYE = _pattern(r"^\W*(?:bye|goodbye|good-bye|good night|see you|ciao|that'?s all)\b[\w\s,!.]{0,24}$")
MOOD = _pattern(r"\bhow (?:are|r) (?:you|u)\b|\bhow'?s it going\b|\bwhat'?s up\b")
ABILITIES = _pattern(
    r"\b(?:what (?:can|could|do) you do|who are you|what are you|your (?:tools|abilities|capabilities)"
    r"|are you (?:a |an )?(?:real|human|bot|robot|ai|claude|gpt|chatgpt|model|program))\b|^\W*help\W*$"
)
HISTORY = _pattern(
    r"\b(?:summari[sz]e (?:our|this|the) (?:chat|conversation|discussion)"
    r"|what (?:did|have) (?:i|we) (?:say|said|ask|asked|talk|talked|discuss)|so far)\b"
)
FEELING = _pattern(
    r"\bi(?:'m| am| feel)(?: so| very| really| a bit)? (?:tired|sad|stuck|stressed|overwhelmed|exhausted"
    r"|frustrated|lonely|anxious|worried|unhappy|bored|lost)\b"
)
JOKE = _pattern(r"\b(?:joke|make me laugh|something funny)\b")
POEM = _pattern(r"\b(?:haiku|poem|verse|rhyme)\b")
CODE = _pattern(
    r"\b(?:code|function|program|script|python|javascript|typescript|sql|query|snippet|algorithm|fizz\s?buzz"
    r"|fibonacci|regex|factorial|palindrome)\b"
)
MAKES = _pattern(
    r"\b(?:write|show|give|make|create|implement|need|example|how (?:do|can|to))\b"
    r"|^\W*(?:python|sql|fizz\s?buzz|fibonacci|factorial|palindrome)\b"
)
WRITE = _pattern(
    r"\b(?:write|draft|compose)\b.*\b(?:email|e-mail|mail|letter|message|text|note|post|invitation|speech)\b"
)
PLAN = _pattern(r"\b(?:plan|schedule|roadmap|itinerary|organi[sz]e|prepare)\b")
IDEAS = _pattern(r"\b(?:ideas?|brainstorm|suggest(?:ions?)?|names? for|inspiration|recommend)\b")
PROS = _pattern(
    r"\b(?:pros and cons|for and against|advantages(?: and disadvantages)?|arguments (?:for|against))\b"
    r"(?:\s+(?:of|for|against|about))?\s*(.*)$"
)
BOTH = _pattern(r"\b(?:compare|difference between|versus|vs\.?|better)\b")
PAIR_LEAD = _pattern(r"^.*?\b(?:compare|between|better)\b[,:]?\s+(?=.*\b(?:and|or|vs\.?|versus|with|to)\b)")
PAIR = _pattern(
    r"^\W*([\w][\w\s'\-.+#]{0,40}?)\s+(?:and|or|vs\.?|versus|with|to)\s+",
    r"([\w][\w\s'\-.+#]{0,40}?)[?.!]*$",
)
HOW = _pattern(r"\bhow (?:do|does|can|could|should|would|to|did|will|might)\b")
WHY = _pattern(r"\bwhy\b")
WHAT = _pattern(
    r"^\W*(?:what|who|where|when|which|how|explain|describe|define|tell me about|is|are|was|were|do|does|did"
    r"|can|will)\b"
)
SENDER = _pattern(r"^\[message from ([^\]]+)\]\n")
FINISHED = _pattern(r"^\[(\S+) finished: (\w+)\]\n?(.*)$")
CHANGES = _pattern(r"^\[(\d+) changes in ([^:\]]+): ([^\]]*)\]")

WISHES = {
    "plan": _pattern(
        r"^(?:make |create |a |the |your |me )*(?:plan|schedule|roadmap|itinerary|organi[sz]e|prepare)\b"
        r"(?: (?:for|of))?\s*"
    ),
    "ideas": _pattern(
        r"^(?:some |a few |give |me )*(?:ideas?|names?|suggest(?:ions?)?|inspiration|recommend|brainstorm)\b"
        r"(?: (?:for|about|on|ideas for))?\s*"
    ),
    "write": _pattern(r"^(?:write|draft|compose)\b(?:.*?\b(?:about|on|regarding)\b)?\s*"),
}
"""The part of a subject that is the wish itself."""

CODE_WORDS = _pattern(
    r"\b(?:write|show|give|make|create|implement|need|me|a|an|the|python|function|script|program|code|that|which"
    r"|to|in|for|small|simple|example)\b"
)

ACTIONS = frozenset(
    """
    avoid bake become build change choose cook create deal draw explain find fix get grow improve install keep
    learn make play plan prepare reach read repair run save set sleep speak start stop talk teach use write
    """.split()  # noqa: SIM905 - a list of words is read as words
)
"""Verbs that a question with "how to" may begin with."""
