"""Which encoding bytes are likely in that are not UTF-8: the one in which the letters beside each other make words.

Nothing is read by this. It is proposed to a person, who sees both readings.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from catalog.feeds.reading.encodings import ISO_ENCODINGS, WINDOWS_ENCODINGS

UNSET_ENCODING = "windows-1252"
"""In which bytes are read while nobody has said what they are."""
_SHOWN_CHARS = 60
_SIGNS = frozenset("“”„‘’‚–—…•·™®©°«»€£§²³½¼¾×ª\u00ba\u00a0")  # they stand beside words in any language
_WORDS = re.compile(r"[^\W\d_]+")
# Words that shops use, for the pairs of letters in them. Each language is written in the encodings before it.
_LANGUAGES = {
    ("windows-1252", "iso-8859-15", "iso-8859-1"): (
        "été robe légère façon soirée manteau déjà très près être même âge bébé hôtel coût goût août gâteau crème "
        "chaîne naïf maïs noël cœur sœur œuvre garçon français reçu où fraîche épaule élégant détail matière imprimé "
        "brodée doublée côtelé foncé argenté épée pièce à",
        "größe für kleid schön über träger ärmel jäckchen straße weiß maß öl hübsch fuß süß möbel köln blüte gürtel "
        "schlüssel wäsche häkeln tücher höhe länge rückseite knöpfe grün füße ähnlich österreich übergröße hört",
        "niño año señora diseño pequeño español algodón pantalón camisón corazón cinturón marrón también más así está "
        "aquí público línea música fácil número práctico único cómodo útil bebé café mañana muñeca qué según tacón",
        "não são calção coração mão então informação coleção algodão botão cordão cinturão você é água fácil última "
        "açúcar braço calça preço três mês câmera também lã manhã põe ações",
        "perché è più città qualità caffè già così può comodità novità però",
        "för på är från över även klänning tröja väska lång färg grön blå små två hår många større kjole mørk rød "
        "børn dør også når år før æble læder tæt vælg hæl söt fläta",
    ),
    ("windows-1250", "iso-8859-2"): (
        "żółty łańcuch długa krótka biała różowa złoty kołnierz ręcznik miękki mężczyzna dziecięca wełna bawełna "
        "spódnica płaszcz łódź źródło świeży śliczna wąż gęś mąż jeść pięć sześć być część już też każdy także może "
        "więc są się nową twoją rękaw wysokość szerokość długość jakość gdańsk koń dzień słońce skórzana cień łóżko "
        "książka piżama pończochy męska damska buty niebieski wiązanie brązowy świąteczna ścierka słupek gałąź ścieg "
        "prześcieradło dziewczęca chłopięca ciążowa bieżnik środa pościel kołdra zasłona szczęście mężczyźni",
        "šaty dámské pánské dětské černá bílá červená žlutá zelená růžová modrý hnědý starý kůže boty košile čepice "
        "šátek šála ženy muži děti příliš žluťoučký kůň úpěl ďábelské ódy měkký světlý větší délka výška šířka tričko "
        "řada dřevo třída přední něco kvůli můj své náš této může být není síť loď chuť dlhý krátky čierny veľkosť "
        "kočárek šlapací kabát výprodej nášivka těhotenské plášť dlouhé",
        "női férfi kék zöld fehér piros sárga rózsaszín hosszú rövid ujjú felső alsó bőr erős könnyű szép új ár méret "
        "szín öv táska póló nadrág kabát sál kesztyű fű hűtő fűző gyűrű karkötő fülbevaló esküvői kettő első idő nő",
        "damă bărbaţi albă neagră roşie încălţăminte cămaşă geantă mănuşi fustă şi în să că până fără mărime lungă "
        "scurtă ţesătură viaţă faţă preţ împreună când română rochie piele",
        "žena muškarac dječja košulja hlače šešir čarape što više još džep odjeća međa može kuća noć večer žuta smeđa "
        "ružičasta oblačila čevlji otroški moški ženska",
    ),
    ("windows-1254", "iso-8859-9"): (
        "kadın erkek çocuk elbise gömlek ayakkabı çanta kırmızı yeşil sarı beyaz siyah mavi kısa uzun kollu eşarp şal "
        "şapka bluz etek kazak hırka yün pamuklu ipek deri düğmeli fermuarlı göğüs büyük küçük beden ölçü ürün için "
        "değil çok güzel gümüş altın yüzük küpe kolye saat gözlük ışık dağ ağaç soğuk sıcak aşağı yağmur iğne ılık "
        "tasarım baskılı astarlı takım kumaş taşlı işlemeli",
    ),
    ("windows-1251",): (
        "женское мужское детское платье рубашка юбка брюки пальто куртка обувь туфли сапоги ботинки кроссовки сумка "
        "ремень шарф шапка перчатки носки белый чёрный красный синий зелёный жёлтый серый розовый коричневый золотой "
        "кожа хлопок шерсть шёлк лён размер длина рукав длинный короткий новый для из на по не это который что как "
        "все его она быть можно очень хороший цена товар купить качество удобный вечернее летний зимний шелковый",
        "жіноча чоловіча дитяча сукня сорочка спідниця штани взуття шкіра білий чорний червоний синій зелений жовтий "
        "колір розмір від їх її що які під із більше",
        "дамска мъжка детска рокля риза пола панталон обувки бял черен червен син зелен жълт цвят със за от дълъг",
    ),
    ("windows-1255",): (
        "שמלה חולצה מכנסיים חצאית נעליים נעל תיק חגורה צעיף כובע כפפות גרביים מעיל לבן שחור אדום כחול ירוק צהוב אפור "
        "ורוד חום זהב כסף עור כותנה צמר משי פשתן מידה אורך שרוול ארוך קצר חדש של את עם על לא זה הוא היא יש אין כל "
        "מחיר מוצר חנות איכות נוח ערב קיץ חורף נשים גברים ילדים ילדות תינוק בד דגם צבע",
    ),
    ("windows-1256",): (
        "فستان قميص تنورة بنطلون حذاء حقيبة حزام وشاح قبعة قفازات جوارب معطف سترة أبيض أسود أحمر أزرق أخضر أصفر رمادي "
        "وردي بني ذهبي فضي جلد قطن صوف حرير كتان مقاس طول طويل قصير جديد من في على إلى مع هذا هذه التي الذي هو هي كل "
        "سعر منتج متجر جودة مريح سهرة صيف شتاء نساء رجال أطفال بنات النسائية الرجالية المرأة عطر ساعة خاتم قلادة أنيق "
        "مطرز كلاسيكي فاخر عباءة",
    ),
}


class Proposal(NamedTuple):
    """Another encoding, and texts with their line, as they were read and as they would be in it."""

    encoding: str
    readings: list[tuple[int, str, str]]

    @property
    def examples(self) -> list[tuple[int, str]]:
        """Both readings of each text in words."""
        shown = [(line, *_around_difference(now, then)) for line, now, then in self.readings]
        return [(line, f"{UNSET_ENCODING}: “{now}”, {self.encoding}: “{then}”") for line, now, then in shown]


def _around_difference(one: str, other: str) -> tuple[str, str]:
    first = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    start = max(0, first - _SHOWN_CHARS // 2)
    return one[start : start + _SHOWN_CHARS], other[start : start + _SHOWN_CHARS]


def propose_encoding(texts: Iterable[tuple[int, str]], most_readings: int = 3) -> Proposal | None:
    """The likeliest encoding of texts, with their lines, whose foreign bytes are lone surrogates.

    None when none is likelier than `UNSET_ENCODING`.
    """
    before = list(texts)
    texts = [(line, as_foreign(text)) for line, text in before]
    scores = {encoding: _score(texts, encoding) for encoding in (*WINDOWS_ENCODINGS, *ISO_ENCODINGS)}
    likeliest = max(scores, key=scores.__getitem__)
    if scores[likeliest] <= max(scores[UNSET_ENCODING], 0):
        return None
    readings: list[tuple[int, str, str]] = []
    for (line, found), (_line, text) in zip(before, texts, strict=True):
        now, then = read_as(found, UNSET_ENCODING), read_as(text, likeliest)
        if now != then and len(readings) < most_readings:
            readings.append((line, now, then))
    return Proposal(likeliest, readings) if readings else None


def as_foreign(text: str) -> str:
    """A text with all its bytes foreign when most are: what looks like UTF-8 between them are letters of theirs."""
    foreign = sum("\udc80" <= letter <= "\udcff" for letter in text)
    if foreign and foreign >= sum(letter >= "\x80" for letter in text) - foreign:
        return text.encode("utf-8", "surrogateescape").decode("ascii", "surrogateescape")
    return text


def read_as(text: str, encoding: str) -> str:
    """The text with its foreign bytes in the encoding; those that mean nothing in it are U+FFFD."""
    return re.sub("[\udc80-\udcff]+", lambda found: _decoded(found[0], encoding), text)


def _decoded(foreign: str, encoding: str) -> str:
    return foreign.encode("ascii", "surrogateescape").decode(encoding, "replace")


def _score(texts: list[tuple[int, str]], encoding: str) -> float:
    """How well the texts read in the encoding, in that one of its languages in which they read best."""
    languages = next(samples for encodings, samples in _LANGUAGES.items() if encoding in encodings)
    marked = [(text, read_as(text, encoding)) for _line, text in texts]
    return max(sum(_score_text(before, after, *_known_in(sample)) for before, after in marked) for sample in languages)


@lru_cache
def _known_in(sample: str) -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
    """The words of a language, and the pairs of letters in them; a blank is where a word begins or ends."""
    words = sample.split()
    return frozenset(words), frozenset(pair for word in words for pair in pairwise(f" {word} "))


def _score_text(before: str, after: str, words: frozenset[str], pairs: frozenset[tuple[str, str]]) -> float:
    """`before` has the foreign bytes, of which each is one character of `after`."""
    score = 0.0
    for word in _WORDS.finditer(after):
        score += word[0].lower() in words
    for place, letter in enumerate(after):
        if not "\udc80" <= before[place] <= "\udcff":
            continue
        left, right = after[place - 1 : place] or " ", after[place + 1 : place + 2] or " "
        if letter in _SIGNS and not (left.isalpha() and right.isalpha()):
            score += letter == "€"
        elif not letter.isalpha():
            score -= 2
        else:
            low = letter.lower()
            score += ((left.lower() if left.isalpha() else " ", low) in pairs) - 0.5
            score += ((low, right.lower() if right.isalpha() else " ") in pairs) - 0.5
            score -= 2 * (left.islower() and letter.isupper())
    return score
