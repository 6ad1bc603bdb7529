import { readPassedSockets } from "../../../stage1/sockets/passed-sockets.ts";
import { METADATA_SOCKET, METADATA_STATE } from "../../metadata/paths.ts";
import { startMetadataService } from "../../metadata/service.ts";
import type { Handler } from "../command.ts";
import { invalidValue } from "../values/scalars.ts";
import { loadSyscall } from "../workspace.ts";

/** `rkt metadata-service`: answers pods until SIGINT or SIGTERM. */
export const serveMetadata: Handler = async ({ log, environment }, { options }) => {
	const port = options.integer("listen-port") ?? 0;
	if (port < 1 || port > 65_535) invalidValue("listen-port", String(port), "a port is from 1 to 65535");
	const syscall = await loadSyscall();
	const service = await startMetadataService({
		...{ socket: METADATA_SOCKET, state: METADATA_STATE, port, syscall, log },
		passed: readPassedSockets(syscall, environment, process.pid),
	});
	log.info(`metadata service running on port ${service.port}`);
	const signal = await new Promise<string>((resolve) => {
		for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, resolve);
	});
	await service.close();
	log.info(`ended by ${signal}`);
	return 0;
};
