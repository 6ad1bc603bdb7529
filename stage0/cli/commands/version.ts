import { writeStdout } from "../../../lib/log.ts";
import { APPC_VERSION, RKT_VERSION } from "../../../lib/version.ts";
import type { Handler } from "../command.ts";

/** `rkt version`. Where rkt 1.30 names its Go, this names its Node. */
export const printVersion: Handler = async () => {
	const lines = [
		`rkt Version: ${RKT_VERSION}`,
		`appc Version: ${APPC_VERSION}`,
		`Node Version: ${process.version}`,
		`Node OS/Arch: ${process.platform}/${process.arch}`,
		"Features: -TPM +SDJOURNAL",
	];
	writeStdout(`${lines.join("\n")}\n`);
	return 0;
};
