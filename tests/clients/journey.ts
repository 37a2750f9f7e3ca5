// A machine goes its whole way by a client made from /schema/: it uploads, reads the plan, confirms it, is told by a
// webhook, follows the changes, and loads everything. tests/test_api_clients.py serves the site and gives the variables.
import { createServer } from "node:http";
import createClient from "openapi-fetch";
import { Webhook } from "standardwebhooks";
import type { components, paths } from "./schema.js";

type Changed = components["schemas"]["ProductsChangedEvent"];
type Import = components["schemas"]["Import"];

const { SITE = "", KEY = "", WEBHOOK_SECRET = "", HOOK_PORT = "" } = process.env;

function given<T>(answer: { data?: T; error?: unknown }, what: string): T {
  if (answer.data === undefined) throw new Error(`${what}: ${JSON.stringify(answer.error)}`);
  return answer.data;
}

// Without `format=jsonl` an answer of changes is an object, and no text of lines.
function page<T>(answer: T): Exclude<T, string> {
  if (typeof answer === "string") throw new Error(answer);
  return answer as Exclude<T, string>;
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`It does not hold: ${what}`);
}

const told: Changed[] = [];
const receiver = createServer((request, response) => {
  const pieces: Buffer[] = [];
  request.on("data", (piece: Buffer) => pieces.push(piece));
  request.on("end", () => {
    const body = Buffer.concat(pieces).toString();
    told.push(new Webhook(WEBHOOK_SECRET).verify(body, request.headers as Record<string, string>) as Changed);
    response.writeHead(204).end();
  });
}).listen(Number(HOOK_PORT), "127.0.0.1");

// Somebody signs up and logs in: what an account may do that nobody gave a role.
const stranger = createClient<paths>({ baseUrl: SITE });
const words = { username: "dora", password: "correct horse battery" };
given(await stranger.POST("/signup/", { body: { ...words, email: "dora@example.com" } }), "signup");
const login = given(await stranger.POST("/login/", { body: words }), "login");
if (!("access" in login)) throw new Error("A second factor is asked for.");
const dora = createClient<paths>({ baseUrl: SITE, headers: { Authorization: `Bearer ${login.access}` } });
expect(given(await dora.GET("/user/"), "user").username === "dora", "it is dora");
expect((await dora.GET("/feeds/")).response.status === 403, "feeds are not hers");
given(await dora.POST("/logout/"), "logout");

// A machine has a key.
const machine = createClient<paths>({ baseUrl: SITE, headers: { Authorization: `Api-Key ${KEY}` } });
let { cursor } = page(given(await machine.GET("/products/changes/"), "where it is now"));

const feed = [
  "id,title,description,link,image link,price,availability,brand,condition",
  "ts-1,Silk dress,Of silk,https://www.example.com/1,https://www.example.com/1.jpg,1250.00 AED,in stock,Noor,new",
];
const sent = await machine.POST("/upload-products/", {
  body: { file: feed.join("\n"), mode: "add", review: true },
  bodySerializer: (body) => {
    const form = new FormData();
    form.set("file", new Blob([body.file]), "feed.csv");
    form.set("mode", String(body.mode));
    form.set("review", String(body.review));
    return form;
  },
});
const path = { id: given(sent, "upload").id };

async function reached(status: Import["status"]): Promise<Import> {
  for (let tries = 0; tries < 300; tries += 1) {
    const run = given(await machine.GET("/imports/{id}/", { params: { path } }), "import");
    if (run.status === status) return run;
    expect(run.status !== "failed", `${run.error}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`The import was not ${status} in time.`);
}

const { plan_hash } = await reached("review");
const plan = given(await machine.GET("/imports/{id}/changes/", { params: { path } }), "plan");
expect(plan.results.map((row) => `${row.operation} ${row.product_id}`).join() === "create ts-1", "the plan is known");
given(await machine.POST("/imports/{id}/apply/", { params: { path }, body: { plan_hash } }), "confirm");
await reached("applied");

for (let tries = 0; told.length === 0 && tries < 300; tries += 1) {
  await new Promise((resolve) => setTimeout(resolve, 200));
}
expect(told[0]?.data.import === path.id, "the webhook tells of this import");
const since = { params: { query: { since: cursor } } };
const changes = page(given(await machine.GET("/products/changes/", since), "changes"));
expect(changes.results.map((row) => row.product?.title).join() === "Silk dress", "the product comes");
expect(changes.version === told[0]?.data.version, "at the version that the webhook has");
cursor = changes.cursor;

const lines = given(await machine.GET("/products/export/", { parseAs: "text" }), "export").trim().split("\n");
expect(lines.map((line) => (JSON.parse(line) as components["schemas"]["Product"]).id).includes("ts-1"), "it is there");
console.log(JSON.stringify({ import: path.id, cursor, told: told.length }));
receiver.close();
