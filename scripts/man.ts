/**
 * Writes the manual pages into a directory; they are made from the command tables, as the help is.
 *
 * usage: node dist/scripts/man.cjs [DIRECTORY]   (default: dist/man)
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { manPages } from "./docs/man-page.ts";

const directory = process.argv[2] ?? "dist/man";
fs.mkdirSync(directory, { recursive: true });
for (const [name, text] of manPages()) fs.writeFileSync(path.join(directory, name), text);
