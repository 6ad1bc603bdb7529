import { writeStdout } from "../../../lib/log.ts";
import { lookupIn } from "../argv.ts";
import type { Handler } from "../command.ts";
import { findCommand } from "../find-command.ts";
import { GLOBAL_OPTIONS } from "../globals.ts";
import { commandHelp, groupHelp, rootHelp } from "../help-text.ts";

/** `rkt help [COMMAND]`. Errors: `command-unknown`. */
export const printHelp: Handler = async (_context, { args }) => {
	const { found } = findCommand(args, lookupIn(GLOBAL_OPTIONS));
	if (found.kind === "command") writeStdout(commandHelp(found.command));
	else writeStdout(found.kind === "group" ? groupHelp(found.name) : rootHelp());
	return 0;
};
