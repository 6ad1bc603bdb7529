import { fail } from "../../../lib/errors.ts";
import { writeStdout } from "../../../lib/log.ts";
import { bashCompletion } from "../bash-completion.ts";
import type { Handler } from "../command.ts";

/** `rkt completion bash`. */
export const printCompletion: Handler = async (_context, { args }) => {
	if (args[0] !== "bash") {
		fail("shell-unsupported", `'${args[0]}' shell is not supported`, { hint: "the only shell is bash" });
	}
	writeStdout(bashCompletion());
	return 0;
};
