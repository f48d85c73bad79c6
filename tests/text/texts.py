"""Lines to try tokenizers with: several languages and scripts, code, and what files hold by accident."""

import random
import unicodedata

PROSE = [
    "Il était une fois, dans une forêt lointaine, un renard qui n'avait jamais vu la mer.",
    "« Où vas-tu ? » demanda la corneille — qui savait déjà la réponse.",
    "L'œuvre naïve d'un garçon de Noël coûtait 1 234,50 € à l'été 1998.",
    "Sœur Anne, ne vois-tu rien venir ? Ça, c'est une autre histoire…",
    "Once upon a time a hare laughed at the short feet and slow pace of the tortoise.",
    "The White Rabbit looked at its watch, and hurried on; it was 3:45 p.m. already!",
    "She said: 'It's the 2nd time -- the very last!' (and left, alone).",
    "Der Fuchs grüßte höflich, aß süße Trauben und ging über die Brücke.",
    "Người ta kể rằng con cáo đã từng sống ở đây với những người bạn của nó.",
    "Ο λύκος και το αρνί ήπιαν νερό από το ίδιο ποτάμι, ᾧ καὶ ἐχάρησαν.",
    "Жили-были старик со старухой у самого синего моря.",
    "むかしむかし、あるところにおじいさんと㍿おばあさんがいました。ｶﾞｷﾞ Ｔｅｓｔ１２３～",
    "从前有一只狐狸，它从来没有见过大海。",
    "옛날 옛적에 여우 한 마리가 살았습니다. 아ㅋㅋ 감사ㄳ",
    "كان يا ما كان في قديم الزمان، وَالثَّعْلَبُ لَمْ يَرَ الْبَحْرَ. ﻻ ﷺ",
    "בְּרֵאשִׁית בָּרָא אֱלֹהִים אֵת הַשָּׁמַיִם וְאֵת הָאָרֶץ",
    "एक समय की बात है, एक लोमड़ी थी जिसने कभी समुद्र नहीं देखा था।",
    "กาลครั้งหนึ่งนานมาแล้ว มีสุนัขจิ้งจอกตัวหนึ่ง น้ำ",
    "🙂 👩‍💻 👨‍👩‍👧‍👦 🇫🇷 🏳️‍🌈 👍🏽 ❤️ ☎️ 1️⃣ ©™",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ① ½ ﬁn x² ℌ Ａ ㎏ …",
]
CODE = [
    "def f(x: int) -> int:\n    return x ** 2  # the square\n\n\nprint(f(3))",
    'for (int i = 0; i < n; ++i) {\n\tif (a[i] != "\\n") { sum += a[i]; }\n}',
    "SELECT name, COUNT(*) FROM t WHERE x >= 10 GROUP BY name;",
    "<div class='a'>&nbsp;<b>bold</b></div>\r\n<br/>",
    "| a | b |\n|---|-----------|\n| 1 | 2 |\n==========\n**********\n............",
    '{"key": [1, 2.50, null, true], "é": "\\u00e9"}',
    "$\\frac{1}{2}\\sum_{i=0}^{n} x_i^2 \\leq \\infty$",
    "https://example.org/a_b-c?d=e%20f&g=h#i  C:\\Users\\x\\file.txt",
]
NAMES = [
    "</s>",
    "<s>",
    "<unk>",
    "<pad>",
    "<0x41>",
    "<0x0A>",
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<mask>",
]
ODD = [
    *(
        "",
        " ",
        "  ",
        "\t",
        "\n",
        "\n\n",
        "\r\n",
        " a",
        "a ",
        "  a  b  ",
        "\ta\n",
        " \n a",
        "a\u00a0b",
        "\u3000a\u3000",
    ),
    *(
        "▁",
        "▁▁",
        " ▁ ",
        "a▁",
        "▁a",
        "a▁b",
        "▁ ▁ ▁",
        "~",
        "～",
        "\u200b",
        "\ufeff",
        "a\u200bb",
        "\u200d",
        "\ufe0f\u200d",
    ),
    *(
        "\x00",
        "\x01",
        "a\x00b",
        "\x1b[31m",
        "\x7f",
        "\x85",
        "\u2028",
        "\ufffd",
        "\u0301",
        "\u0301a",
        " \u0301",
        "e\u0301",
    ),
    *(
        "q\u0323\u0307",
        "e\u0302\u0301",
        "é\u0327",
        "\u0344",
        "Ａ\u0301",
        "ǈ\u030c",
        "¨",
        "´",
        "…",
        "ﬁ",
        "\ue000",
        "\U000e0041",
    ),
    *(
        "aaaaaaaaaaaaaaaaa",
        "abababababab",
        "      x",
        "x      ",
        "\n" * 9,
        "\t\t\t",
        "-" * 33,
        "0" * 20,
        "'" * 7,
        "<" * 5,
    ),
]
PIECES = [
    *"aeio.,-<>'1",
    "the",
    " ",
    "  ",
    "\n",
    "\t",
    "é",
    "e\u0301",
    "日",
    "🙂",
    "ﬁ",
    "▁",
    "ab",
    "abc",
    "\r\n",
    "\x01",
]


def training_lines() -> list[str]:
    """What little tokenizers are trained on."""
    lines = [line for text in [*PROSE, *CODE] for line in text.splitlines()]
    return [*lines, *(f"{left} {right}" for left in lines for right in lines[::5])]


def ordinary_lines() -> list[str]:
    """Prose and code, also decomposed and recomposed, with spaces at both ends and in between."""
    texts = [*PROSE, *CODE]
    texts += [unicodedata.normalize(form, text) for form in ("NFD", "NFC", "NFKD") for text in texts]
    texts += [
        text.replace(" ", space) for text in texts[:28] for space in ("  ", "\t", "\n", " \u00a0", "   ")
    ]
    texts += [space + text + space for text in texts[:28] for space in (" ", "   ", "\n", "\t ")]
    shuffle = random.Random(1)
    words = [word for text in texts for word in text.split(" ")]
    texts += [" ".join(shuffle.choices(words, k=shuffle.randint(1, 12))) for _ in range(1500)]
    return list(dict.fromkeys(texts))


def odd_lines() -> list[str]:
    """Control characters, lone marks, runs, random characters of every plane, and bits of it in a row."""
    dice = random.Random(2)
    ranges = [(0x20, 0x7F), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0xFFF), (0x1E00, 0x2BFF), (0x3000, 0xD7FF)]
    ranges += [(0xF900, 0xFDCF), (0xFDF0, 0xFFFD), (0x10000, 0x1FBFF), (0, 0x1F), (0x20000, 0x10FFFD)]

    def character() -> str:
        return chr(dice.randint(*dice.choice(ranges)))

    lines = [*ODD, *("".join(character() for _ in range(dice.randint(1, 8))) for _ in range(1500))]
    lines += ["".join(dice.choices(PIECES, k=dice.randint(1, 10))) for _ in range(1500)]
    lines += [character * count for character in " \n▁ae.-=0" for count in range(1, 70, 3)]
    return list(dict.fromkeys(lines))


def naming_lines() -> list[str]:
    """Texts that hold the names of special tokens and of bytes, alone and within others."""
    dice = random.Random(3)
    bits = [*NAMES, *NAMES, *PIECES, "<", "0x41>", "/s>", "s>"]
    return [*NAMES, *("".join(dice.choices(bits, k=dice.randint(1, 7))) for _ in range(800))]
