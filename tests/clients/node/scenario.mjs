// What the programs of Node.js libraries have in common (../README.md says what they do).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export const [mode, addresses, prefix] = [process.argv[2], process.argv[3].split(",").map(split), process.argv[4]];

function split(address) {
  const [host, port] = address.split(":");
  return { host, port: Number(port) };
}

export const key = (name) => `{${prefix}}:${name}`;
export const count = (n) => Array.from({ length: n }, (_, i) => i + 1);
export const check = (got, wanted) => assert.deepEqual(got, wanted);
const say = (...words) => console.log(...words);

export async function main(library, { connect, usual, set, get, close }) {
  const client = await connect();
  say("version", JSON.parse(readFileSync(`node_modules/${library}/package.json`)).version);
  try {
    await usual(client);
  } catch (error) {
    say("failed", String(error.stack).replaceAll("\n", " ").slice(0, 400));
    process.exit(1);
  }
  say("usual");
  for (let number = 1; ; number++) {
    try {
      await set(client, key(number), String(number));
      say("wrote", number);
      if ((await get(client, key("stop"))) !== null) break;
    } catch (error) {
      say("error", String(error).replaceAll("\n", " ").slice(0, 200));
    }
    await sleep(10);
  }
  await close(client);
  say("end");
}
