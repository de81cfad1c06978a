// `npm start [-- FILE]`: what is in a QEMU migration stream, and is it the same when we save it again? Without FILE it
// is a bundled stream that a real QEMU wrote; a small machine of our own then shows the other half.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { tell } from "./toy-machine.mjs";

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const bundled = path("../test/streams/microvm.gz");
const given = process.argv[2];
const file = given ?? bundled;

function savevm(...args) {
  const { status } = spawnSync(process.execPath, [path("../dist/cli.js"), ...args], { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}

console.log(
  given === undefined ? "A stream that a real QEMU wrote (microvm, 8 MiB, a guest of our own):\n" : `${file}:\n`,
);
savevm("inspect", file);
console.log("\nSaved again by our own writer, and compared byte by byte:\n");
savevm("verify", "--deep", file);

if (given === undefined) {
  console.log("\nA machine of our own, saved, damaged and restored:\n");
  await tell(console.log);
}
