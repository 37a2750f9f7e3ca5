"""The words by which products are found: what a beginning may go on to, and what a misspelled one may have meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchQuery
from django.db import connection, models, transaction
from django.db.models import Func

from catalog.models.market import Market

# One letter wrong, missing or too much in a word of five.
LIKE_ENOUGH = 0.4
# So many words of one beginning are looked at, to learn about how many products have them.
WORDS_LOOKED_AT = 1000
# And so many may stand in a search in place of their beginning.
WORDS_NAMED = 30
# Stands for all that follows, where a word has digits.
DIGITS = "0"
# All of ASCII's: it separates words, in products and in searches. PostgreSQL's parser would take Black/White for a
# path, 2-5 for 2 and minus 5.
PUNCTUATION = "[!-/:-@[-`{-~]"


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is known of the words that begin with a term.

    `words` are all that any product has, the term itself among them; None when there are too many to name, or some may
    not be known.
    """

    words: list[str] | None
    # About how many products have them.
    products: int


class Word(models.Model):
    """A word that some product of a market has in its searchable text. Of one with digits, what is before and a 0.

    A number is no misspelling of another one, and a million ids would be most of the table.

    Imports do not wait for it: a word is here soon after its product came, and until the night after the last one went.
    What is missing here is found all the same, but nothing else is taken for it.
    """

    pk = models.CompositePrimaryKey("market_id", "word")
    market = models.ForeignKey(Market, models.CASCADE, related_name="+", db_index=False)
    word = models.TextField(db_collation="C")
    # About how many have it, as of the last night or when the word came: for choosing the quicker way to search.
    products = models.IntegerField(default=0)

    class Meta:
        default_permissions = ()
        indexes = [
            # Word.nearest
            GinIndex(
                OpClass("word", "gin_trgm_ops"),
                name="word_typos",
                condition=~models.Q(word__endswith=DIGITS),
            )
        ]

    def __str__(self) -> str:
        return self.word

    @classmethod
    def learn(cls, market: Any, products: str, **values: Any) -> None:
        """Know the words of these products of the market: a condition on `product` in SQL, with its values by name.

        They are written in one order, so that two who learn at once do not wait for each other in a circle.
        """
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                INSERT INTO catalog_word (market_id, word, products)
                SELECT %(market)s, {_WORD}, count(*)
                FROM {_FOUND} AND product.market_id = %(market)s AND {products}
                GROUP BY 2 ORDER BY 2
                ON CONFLICT DO NOTHING
                """,
                {"market": market, **values},
            )

    @classmethod
    def renew(cls) -> int:
        """Know the words of all products and no other; says how many were forgotten."""
        with connection.cursor() as cursor:
            cursor.execute(f"""
                WITH found AS (
                    SELECT product.market_id, {_WORD} AS word, count(*) FROM {_FOUND} GROUP BY 1, 2
                ), learnt AS (
                    INSERT INTO catalog_word (market_id, word, products) SELECT * FROM found ORDER BY market_id, word
                    ON CONFLICT (market_id, word) DO UPDATE SET products = EXCLUDED.products
                    WHERE catalog_word.products <> EXCLUDED.products
                )
                SELECT market_id, word FROM catalog_word AS known
                WHERE NOT EXISTS (
                    SELECT FROM found WHERE found.market_id = known.market_id AND found.word = known.word
                )
            """)
            return cls._forget(cursor.fetchall())

    @classmethod
    @transaction.atomic
    def _forget(cls, unused: list[tuple[int, str]]) -> int:
        """Forget these words of markets, unless a product has got one of them meanwhile.

        Nobody learns while this looks: what is known already is not written again, and would be forgotten here.
        """
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE catalog_word IN SHARE ROW EXCLUSIVE MODE")
            cursor.execute(
                """
                DELETE FROM catalog_word
                USING unnest(%(markets)s::int[], %(words)s::text[], %(queries)s::tsquery[])
                    AS unused (market, word, query)
                WHERE market_id = unused.market AND catalog_word.word = unused.word AND NOT EXISTS (
                    SELECT FROM catalog_product WHERE search @@ unused.query AND market_id = unused.market
                )
                """,
                {
                    "markets": [market for market, _word in unused],
                    "words": [word for _market, word in unused],
                    "queries": [f"{quoted(word.rstrip(DIGITS))}:*" for _market, word in unused],
                },
            )
            return int(cursor.rowcount)

    @classmethod
    def begun_by(cls, market: int, terms: list[str], *, incomplete: str) -> dict[str, Beginning]:
        """What is known of the market's words that begin with each term; nothing of a term that none begins with.

        `incomplete` is a condition in SQL: whether some words of products may not be known yet.
        """
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                SELECT
                    term,
                    CASE WHEN count(*) <= %(named)s AND bool_and(word NOT LIKE %(digits)s)
                        AND NOT ({incomplete})
                    THEN array_agg(DISTINCT lower(term)) || array_agg(word) END,
                    sum(products)::int
                FROM unnest(%(terms)s) AS term, LATERAL (
                    SELECT word, products FROM catalog_word
                    WHERE market_id = %(market)s AND word >= lower(term) AND word < lower(term) || chr(1114111)
                    ORDER BY word LIMIT %(looked_at)s
                ) AS known
                GROUP BY term
                """,
                {
                    "market": market,
                    "terms": terms,
                    "named": WORDS_NAMED,
                    "digits": f"%{DIGITS}",
                    "looked_at": WORDS_LOOKED_AT,
                },
            )
            return {term: Beginning(words, products) for term, words, products in cursor.fetchall()}

    @classmethod
    def nearest(cls, market: int, term: str) -> str:
        """The market's known word that is most like the term; "" when none is like it."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('pg_trgm.word_similarity_threshold', %s, true)", [f"{LIKE_ENOUGH}"])
            cursor.execute(
                """
                SELECT word FROM catalog_word
                WHERE market_id = %(market)s AND %(term)s <%% word AND word NOT LIKE %(digits)s
                ORDER BY similarity(word, %(term)s) DESC, word LIMIT 1
                """,
                {"market": market, "term": term, "digits": f"%{DIGITS}"},
            )
            found = cursor.fetchone()
        return found[0] if found else ""


def quoted(word: str) -> str:
    """As it is written in a `tsquery`."""
    return "'{}'".format(word.replace("\\", "\\\\").replace("'", "''"))


class NotIndexed(Func):
    """The same words, in the same places: those of `t-shirt` follow one another. D is the weight they all have."""

    template = "setweight(%(expressions)s, 'D')"


class AnyOf(SearchQuery):
    """One of these words, each as it is in the index."""

    template = "%(expressions)s::tsquery"

    def __init__(self, words: Iterable[str]) -> None:
        super().__init__(" | ".join(map(quoted, dict.fromkeys(words))))


def beginning_with(term: str) -> SearchQuery:
    """A word that begins so; of a term with punctuation in it the words one after another, the last begun so."""
    words = " <-> ".join(map(quoted, re.sub(PUNCTUATION, " ", term).split()))
    return SearchQuery(f"{words}:*", config="simple", search_type="raw")


# The words that occur in searchable texts; of one with digits, what is known of it.
_FOUND = "catalog_product AS product, unnest(tsvector_to_array(product.search)) AS found WHERE found !~ '^[0-9]'"
_WORD = "CASE WHEN found ~ '[0-9]' THEN substring(found FROM '^[^0-9]+') || '0' ELSE found END"
