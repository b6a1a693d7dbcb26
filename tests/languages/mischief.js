// The example's policy with keys that do harm, or try to reach what a policy may not reach.

import { increment } from "larder:policy/redis@0.1.0";
import { rules as article } from "../../examples/policy-js/policy.js";

const answer = (text) => ({ suffix: String(text), miss: "answer", collapseWaitMs: 0 });

const MISCHIEF = {
  throw() {
    throw new Error("an exception, as asked");
  },
  loop() {
    for (;;);
  },
  memory() {
    const all = [];
    for (;;) all.push(new Uint8Array(1 << 20).fill(1));
  },
  nonsense: () => 42,
  time: () => answer(Date.now()),
  chance: () => answer(Math.random()),
};

export const rules = {
  ...article,
  plan: (request) => (Object.hasOwn(MISCHIEF, request.key) ? MISCHIEF[request.key]() : article.plan(request)),
};

export const workflow = {
  onCommand(command, args) {
    if (command === "count") return { tag: "integer", val: increment(String.fromCharCode(...args[0]), 1, null) };
    if (command === "throw") MISCHIEF.throw();
    throw { tag: "unknown" };
  },
  onTick: () => null,
};
