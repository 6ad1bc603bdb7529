import { messageOf } from "../../../lib/errors.ts";
import { createLinuxSyscall } from "../../../lib/syscall/linux.ts";
import { openStore } from "../../../stage0/store/store.ts";

/** One process that works with a store: `DATA-DIRECTORY ACTION [ARGUMENT]`. Prints the key or the error code. */
async function main([directory = "", action = "", argument = ""]: readonly string[]): Promise<string> {
	const store = openStore(directory, createLinuxSyscall());
	switch (action) {
		case "import":
			return (await store.importAci(argument, { source: argument })).key;
		case "import-render":
			return (await store.importAci(argument, { source: argument, render: true })).key;
		case "render":
			return (await store.ensureTree(argument)).treeId;
		case "remove":
			store.remove(argument);
			return argument;
		case "remove-tree":
			store.removeTree(argument);
			return argument;
		case "list":
			return store
				.list()
				.map(({ key }) => key)
				.join("\n");
		default:
			throw new Error(`unknown action ${action}`);
	}
}

main(process.argv.slice(2)).then(
	(text) => process.stdout.write(`${text}\n`),
	(error) => {
		process.stderr.write(`${(error as { code?: string }).code}: ${messageOf(error)}\n`);
		process.exitCode = 254;
	},
);
