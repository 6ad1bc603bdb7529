import { type BusyboxHost, firstUuid, outputLines } from "../support/busybox-host.ts";
import { waitFor } from "../support/wait-for.ts";

/** What an app prints until a line `up`, and what a script prints that is run in it with enter. */
export async function appAndEnter(
	host: BusyboxHost,
	image: string,
	script: string,
): Promise<{ readonly app: string[]; readonly entered: string[] }> {
	const pod = host.start(["run", "--net=none", image]);
	let stdout = "";
	pod.stdout?.on("data", (chunk) => {
		stdout += chunk;
	});
	const lines = (): string[] => outputLines({ status: 0, stdout, stderr: "" });
	await waitFor(`the app of ${image}`, () => lines().includes("up"));
	const uuid = firstUuid((await host.rkt(["list", "--full", "--no-legend"])).stdout);
	const entered = await host.rkt(["enter", uuid, "/bin/sh", "-c", script]);
	await host.rkt(["stop", "--force", uuid]);
	await pod;
	return { app: lines().slice(0, lines().indexOf("up")), entered: outputLines(entered) };
}
