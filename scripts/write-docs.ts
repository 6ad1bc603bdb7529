/**
 * Writes the pages of docs/ that come out of the code.
 *
 * usage: node dist/scripts/write-docs.cjs
 */
import * as fs from "node:fs";
import { commandReference } from "./docs/command-reference.ts";

fs.writeFileSync("docs/commands.md", commandReference());
