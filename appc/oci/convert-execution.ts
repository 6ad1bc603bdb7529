import { posix } from "node:path";
import type { App } from "../schema/app.ts";
import { goJson } from "../schema/serialize.ts";
import { quote } from "../types/quote.ts";
import { refuseConfig } from "./config-refusal.ts";
import { dockerEnvironment } from "./docker-environment.ts";
import { parseDockerUser } from "./docker-user.ts";
import { MAX_VOLUMES, volumeMountPoints } from "./docker-volumes.ts";
import { exposedPorts, MAX_EXPOSED_PORTS } from "./exposed-ports.ts";
import type { OciExecution } from "./image-config.ts";
import { DOCKER_ANNOTATIONS, OCI_ANNOTATIONS } from "./oci-annotations.ts";
import { signalNumber } from "./stop-signal.ts";

/** How an image says that it is run: the section `app`, and annotations for what appc has no member for. */
export interface ConvertedExecution {
	readonly app: App;
	readonly annotations: readonly { readonly name: string; readonly value: string }[];
}

/** Linux takes no longer argument or variable: MAX_ARG_STRLEN. */
const MAX_WORD_BYTES = 128 * 1024;
/** Of arguments and environment together: no more than a quarter of the usual stack limit is allowed for these. */
const MAX_WORDS_BYTES = 2 * 1024 * 1024;
const POINTER_BYTES = 8;

/** The member `config` of an image configuration. Errors: `oci-invalid`, naming the member. */
export function convertExecution(execution: OciExecution, source: string): ConvertedExecution {
	const entrypoint = entrypointOf(execution);
	const command = execution.Cmd ?? [];
	checkWords([...entrypoint, ...command, ...(execution.Env ?? [])], source);
	const { environment, others } = dockerEnvironment(execution.Env ?? [], (entry) =>
		refuseConfig(source, "Env", `has the entry ${quote(entry)}, which names no variable`),
	);
	const text = execution.User ?? "";
	const user = parseDockerUser(text) ?? refuseConfig(source, "User", `is ${quote(text)}, which is no user`);
	return {
		app: {
			exec: [...entrypoint, ...command],
			eventHandlers: [],
			user: user.user,
			// Programs that know only docker2aci's images expect the user's name where there is no group.
			group: user.group ?? (text.startsWith(":") || text === "" ? "0" : user.user),
			supplementaryGIDs: [],
			...workingDirectory(execution.WorkingDir ?? "", source),
			environment: [...environment],
			mountPoints: volumes(execution, source),
			ports: ports(execution, source),
			isolators: [],
			userAnnotations: {},
			userLabels: execution.Labels ?? {},
		},
		annotations: [
			...jsonAnnotation(DOCKER_ANNOTATIONS.entrypoint, filledList(entrypoint)),
			...jsonAnnotation(DOCKER_ANNOTATIONS.cmd, filledList(command)),
			{ name: OCI_ANNOTATIONS.user, value: text },
			...jsonAnnotation(OCI_ANNOTATIONS.environment, filledList(others)),
			...stopSignal(execution.StopSignal ?? "", source),
			...jsonAnnotation(OCI_ANNOTATIONS.healthcheck, execution.Healthcheck),
			...jsonAnnotation(OCI_ANNOTATIONS.shell, filledList(execution.Shell ?? [])),
			...jsonAnnotation(OCI_ANNOTATIONS.onBuild, filledList(execution.OnBuild ?? [])),
		],
	};
}

/** docker writes one empty word for "none after all". */
function entrypointOf({ Entrypoint = [] }: OciExecution): readonly string[] {
	return Entrypoint.length === 1 && Entrypoint[0] === "" ? [] : Entrypoint;
}

/** What the kernel would refuse only when the app is started. */
function checkWords(words: readonly string[], source: string): void {
	let total = 0;
	for (const word of words) {
		const bytes = Buffer.byteLength(word) + 1;
		total += bytes + POINTER_BYTES;
		if (bytes > MAX_WORD_BYTES) refuseConfig(source, "", `has an argument or variable of ${bytes} bytes`);
	}
	if (total > MAX_WORDS_BYTES) {
		refuseConfig(source, "", `has ${total} bytes of arguments and environment, more than a program can get`);
	}
}

function workingDirectory(directory: string, source: string): Pick<App, "workingDirectory"> {
	if (directory === "") return {};
	if (/\p{Cc}/u.test(directory)) {
		refuseConfig(source, "WorkingDir", `is ${quote(directory)}, with a control character`);
	}
	return { workingDirectory: posix.resolve("/", directory) };
}

function volumes({ Volumes = {} }: OciExecution, source: string): App["mountPoints"] {
	const paths = Object.keys(Volumes);
	if (paths.length > MAX_VOLUMES) {
		refuseConfig(source, "Volumes", `has ${paths.length} entries; ${MAX_VOLUMES} are allowed`);
	}
	return volumeMountPoints(paths, (path) =>
		refuseConfig(source, "Volumes", `has ${quote(path)}, where nothing can be mounted`),
	);
}

function ports({ ExposedPorts = {} }: OciExecution, source: string): App["ports"] {
	const names = Object.keys(ExposedPorts);
	if (names.length > MAX_EXPOSED_PORTS) {
		refuseConfig(source, "ExposedPorts", `has ${names.length} entries; ${MAX_EXPOSED_PORTS} are allowed`);
	}
	return exposedPorts(names, (name) =>
		refuseConfig(source, "ExposedPorts", `has ${quote(name)}, which is no port such as 80/tcp`),
	);
}

function stopSignal(text: string, source: string): ConvertedExecution["annotations"] {
	if (text === "") return [];
	if (signalNumber(text) === undefined) {
		refuseConfig(source, "StopSignal", `is ${quote(text)}, which is no signal such as SIGTERM`);
	}
	return [{ name: OCI_ANNOTATIONS.stopSignal, value: text.toUpperCase() }];
}

function jsonAnnotation(name: string, value: unknown): ConvertedExecution["annotations"] {
	return value === undefined ? [] : [{ name, value: goJson(value) }];
}

function filledList(list: readonly string[]): readonly string[] | undefined {
	return list.length === 0 ? undefined : list;
}
