"""The words by which products are found, for taking a misspelled one as the word that was meant."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import connection, models, transaction

# One letter wrong, missing or too much in a word of five.
LIKE_ENOUGH = 0.4


class Word(models.Model):
    """A word without digits that some product has in its searchable text: a number is no misspelling of another one.

    Imports do not wait for it: a word is here soon after its product came, and until the night after the last one went.
    What is missing here is found all the same, but nothing else is taken for it.
    """

    word = models.TextField(primary_key=True, db_collation="C")
    # About how many have it, as of the last night or when the word came: for choosing the quicker way to search.
    products = models.IntegerField(default=0)

    class Meta:
        default_permissions = ()
        # Word.nearest
        indexes = [GinIndex(OpClass("word", "gin_trgm_ops"), name="word_typos")]

    def __str__(self) -> str:
        return self.word

    @classmethod
    def learn(cls, products: str, **values: Any) -> None:
        """Know the words of these products: a condition on `product` in SQL, with its values by name.

        They are written in one order, so that two who learn at once do not wait for each other in a circle.
        """
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                INSERT INTO catalog_word (word, products) {_WORDS.format(products)} ORDER BY word
                ON CONFLICT DO NOTHING
                """,
                values,
            )

    @classmethod
    def renew(cls) -> int:
        """Know the words of all products and no other; says how many were forgotten."""
        with connection.cursor() as cursor:
            cursor.execute(f"""
                WITH found AS ({_WORDS.format("true")}), learnt AS (
                    INSERT INTO catalog_word (word, products) SELECT * FROM found ORDER BY word
                    ON CONFLICT (word) DO UPDATE SET products = EXCLUDED.products
                    WHERE catalog_word.products <> EXCLUDED.products
                )
                DELETE FROM catalog_word AS known WHERE NOT EXISTS (SELECT FROM found WHERE found.word = known.word)
            """)
            return int(cursor.rowcount)

    @classmethod
    def begun_by(cls, terms: list[str]) -> dict[str, int]:
        """Those of the terms that a known word begins with, and about how many products such words have."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT term, sum(products) FROM unnest(%s) AS term
                JOIN catalog_word ON word >= lower(term) AND word < lower(term) || chr(1114111)
                GROUP BY term
                """,
                [terms],
            )
            return dict(cursor.fetchall())

    @classmethod
    def nearest(cls, term: str) -> str:
        """The known word that is most like the term; the term itself when none is like it."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('pg_trgm.word_similarity_threshold', %s, true)", [f"{LIKE_ENOUGH}"])
            cursor.execute(
                """
                SELECT word FROM catalog_word WHERE %(term)s <%% word
                ORDER BY similarity(word, %(term)s) DESC, word LIMIT 1
                """,
                {"term": term},
            )
            found = cursor.fetchone()
        return found[0] if found else term


# Each word once, of the products for which a condition holds.
_WORDS = """
    SELECT word, count(*)
    FROM catalog_product AS product, unnest(tsvector_to_array(product.search)) AS word
    WHERE word !~ '[0-9]' AND {}
    GROUP BY word
"""
