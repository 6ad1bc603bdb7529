import { fail } from "../../../lib/errors.ts";
import { writeStdout } from "../../../lib/log.ts";
import type { Handler } from "../command.ts";
import { bashCompletion } from "../completion/bash.ts";
import { fishCompletion } from "../completion/fish.ts";
import { SHELLS } from "../completion/words.ts";
import { zshCompletion } from "../completion/zsh.ts";

const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], () => string>> = {
	bash: bashCompletion,
	fish: fishCompletion,
	zsh: zshCompletion,
};

/** `rkt completion bash|fish|zsh`. */
export const printCompletion: Handler = async (_context, { args }) => {
	const shell =
		SHELLS.find((name) => name === args[0]) ??
		fail("shell-unsupported", `'${args[0]}' shell is not supported`, {
			hint: `it can be ${SHELLS.join(", ")}`,
		});
	writeStdout(SCRIPTS[shell]());
	return 0;
};
