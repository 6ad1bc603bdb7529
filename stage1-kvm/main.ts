import type { EntrypointName, Stage1Context } from "../stage1/entrypoints.ts";

/**
 * The module of the kvm stage1 (stage1/entrypoints.ts, `Stage1Module`): does what the executable entry point of that
 * name does, and gives its exit status.
 */
export async function main(
	entrypoint: EntrypointName,
	argv: string[],
	context: Stage1Context,
): Promise<number> {
	switch (entrypoint) {
		case "run":
			return (await import("./run.ts")).run(argv, context);
		case "enter":
			return (await import("./enter.ts")).enter(argv, context);
		case "gc":
			return (await import("../stage1/run/collect-pod.ts")).gc(argv, context);
		case "stop":
			return (await import("./stop.ts")).stop(argv, context);
	}
}
