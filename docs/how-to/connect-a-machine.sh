#!/usr/bin/env bash
# A machine with a key: it uploads a feed, reads the plan, confirms what it has read, hears by a webhook that products
# changed, and follows the changes. docs/how-to/connect-a-machine.md says what it needs. It takes bash, curl and python3.
set -euo pipefail

SITE=${SITE:-http://127.0.0.1:8000/api/v1}
KEY=${KEY:?is the API key, opm_…}
WEBHOOK_SECRET=${WEBHOOK_SECRET:?is the secret of the webhook, whsec_…}
HOOK_PORT=${HOOK_PORT:-8099} # where this script listens: the address of the webhook is http://127.0.0.1:8099/
STATE=${STATE:-machine}      # a folder for what the machine has to remember
MAX_ARCHIVED=${MAX_ARCHIVED:-10}
mkdir -p "$STATE"

call() { curl -sS --fail-with-body --retry 5 --retry-connrefused -H "Authorization: Api-Key $KEY" "$@"; }
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

# --- 1. Listen for webhooks: whatever is signed with the secret is kept, each delivery once. -------------------------
cat > "$STATE/receiver.py" <<'PYTHON'
import base64, hashlib, hmac, time
import http.server, sys


def verify(secret: str, headers: dict[str, str], body: bytes) -> bool:
    moment = headers["webhook-timestamp"]
    signed = headers["webhook-id"].encode() + b"." + moment.encode() + b"." + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = headers["webhook-signature"].split(" ")
    return abs(time.time() - int(moment)) < 300 and any(hmac.compare_digest(expected, each) for each in given)


port, secret, kept = int(sys.argv[1]), sys.argv[2], sys.argv[3]
seen: set[str] = set()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: self.headers.get(name, "0") for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
        is_genuine = verify(secret, headers, body)
        if is_genuine and headers["webhook-id"] not in seen:
            with open(kept, "ab") as file:
                file.write(body + b"\n")
            seen.add(headers["webhook-id"])
        self.send_response(204 if is_genuine else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


http.server.HTTPServer(("127.0.0.1", port), Receiver).serve_forever()
PYTHON
: > "$STATE/webhooks.jsonl"
python3 "$STATE/receiver.py" "$HOOK_PORT" "$WEBHOOK_SECRET" "$STATE/webhooks.jsonl" &
RECEIVER=$!
trap 'kill $RECEIVER' EXIT

# --- 2. The first time, remember the place in the changes, then load all products. ------------------------------------
if [ ! -s "$STATE/cursor" ]; then
    call "$SITE/products/changes/" | field cursor > "$STATE/cursor.new"
    call --compressed "$SITE/products/export/" > "$STATE/products.jsonl"
    mv "$STATE/cursor.new" "$STATE/cursor"
    echo "loaded $(wc -l < "$STATE/products.jsonl") products"
fi

# --- 3. Upload a feed whose plan waits. Sent again with the same key after a lost answer, it is taken once. ----------
ID=dress-$(date +%s)
cat > "$STATE/feed.csv" <<CSV
id,title,description,link,image link,price,availability,brand,condition
$ID,Silk dress,A dress of silk,https://www.example.com/1,https://www.example.com/1.jpg,1250.00 AED,in stock,Noor,new
CSV
IMPORT=$(call "$SITE/upload-products/" -H "Idempotency-Key: $ID" -F "file=@$STATE/feed.csv" -F review=true | field url)
reached() { # wait until the import has one of these statuses
    for _ in $(seq 300); do
        call "$IMPORT" > "$STATE/import.json"
        STATUS=$(field status < "$STATE/import.json")
        case " $* failed " in *" $STATUS "*) break ;; esac
        sleep 1
    done
    case " $* " in *" $STATUS "*) ;; *) echo "the import is $STATUS: $(field error < "$STATE/import.json")" >&2 && exit 1 ;; esac
}
reached review
echo "$IMPORT waits for review"

# --- 4. Read the whole plan, page after page. ---------------------------------------------------------------------------
NEXT="${IMPORT}changes/"
: > "$STATE/plan.txt"
while [ "$NEXT" != None ]; do
    call "$NEXT" > "$STATE/page.json"
    python3 -c 'import json, sys
for row in json.load(sys.stdin)["results"]: print(row["operation"], row["product_id"])' < "$STATE/page.json" >> "$STATE/plan.txt"
    NEXT=$(field next < "$STATE/page.json")
done
cat "$STATE/plan.txt"

# --- 5. Confirm exactly this plan by its hash, or throw it away. -------------------------------------------------------
if [ "$(grep -c '^archive ' "$STATE/plan.txt")" -gt "$MAX_ARCHIVED" ]; then
    call -X POST "${IMPORT}discard/"
    echo "more than $MAX_ARCHIVED products would be archived: discarded" >&2
    exit 1
fi
HASH=$(field plan_hash < "$STATE/import.json")
call "${IMPORT}apply/" -H 'Content-Type: application/json' -d "{\"plan_hash\": \"$HASH\"}" > "$STATE/import.json"
reached applied
echo "applied"

# --- 6. A verified webhook says that products changed. ----------------------------------------------------------------
for _ in $(seq 120); do
    grep -q '"type":"products.changed"' "$STATE/webhooks.jsonl" && break
    sleep 1
done
grep '"type":"products.changed"' "$STATE/webhooks.jsonl" | tail -1

# --- 7. Follow the changes from the place where the copy is, and keep the new place after each page. -------------------
NEXT=yes
while [ "$NEXT" != None ]; do
    call -G "$SITE/products/changes/" --data-urlencode "since=$(cat "$STATE/cursor")" > "$STATE/page.json"
    python3 -c 'import json, sys
for row in json.load(sys.stdin)["results"]: print(row["state"], row["id"], "at version", row["version"])' < "$STATE/page.json"
    field cursor < "$STATE/page.json" > "$STATE/cursor.new" && mv "$STATE/cursor.new" "$STATE/cursor"
    NEXT=$(field next < "$STATE/page.json")
done
