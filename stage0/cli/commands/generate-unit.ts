import * as path from "node:path";
import { fail } from "../../../lib/errors.ts";
import { writeStdout } from "../../../lib/log.ts";
import { parseImageReference } from "../../fetch/image-reference.ts";
import { readStage1OfPod } from "../../handoff/stage1-of-pod.ts";
import { isUuid, listPodPlaces, type PodPlace, podPlace } from "../../pod/pod-directories.ts";
import { readPodManifest } from "../../pod/read-manifest.ts";
import { type PodUnit, podUnitText, UNIT_UUID_FILE } from "../../unit/pod-unit.ts";
import type { AppArguments } from "../app-args.ts";
import type { CommandContext, Handler, Invocation } from "../command.ts";
import { GLOBAL_OPTIONS } from "../globals.ts";
import { conflict, readPrepareFlags } from "../prepare-flags.ts";
import { readStartFlags } from "../start-flags.ts";
import { PREPARE_OPTIONS, RUN_OPTIONS, START_OPTIONS, VERIFY } from "../tables/pod-options.ts";
import { invalidValue } from "../values/scalars.ts";
import { findDataDirectory, readConfig } from "../workspace.ts";
import { writtenFlag, writtenFlags } from "../written-flags.ts";

/** Where systemd looks for programs when a unit does not say it, systemd.exec(5). */
const SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** `rkt generate unit`: prints a unit file for a prepared pod, or for what `rkt run` would be given. */
export const generateUnit: Handler = async (context, invocation) => {
	const { options } = invocation;
	await readStartFlags(context, options);
	if (options.on("interactive")) conflict("--interactive needs a terminal, which a unit does not have");
	const dataDirectory = findDataDirectory(context);
	const prepared = findPreparedPod(dataDirectory, invocation.apps);
	const own = prepared
		? unitOfPod(dataDirectory, prepared, invocation)
		: unitOfImages(context, dataDirectory, invocation);
	writeStdout(podUnitText({ ...commonSettings(invocation), ...own, ...describe(invocation, own) }));
	return 0;
};

type OwnSettings = Omit<PodUnit, "program" | "globals" | "searchPath" | "stopTimeout">;
type CommonSettings = Omit<PodUnit, keyof OwnSettings>;

/** A pod is meant by a whole UUID, or by the beginning of that of a prepared pod. */
function findPreparedPod(dataDirectory: string, apps: readonly AppArguments[]): PodPlace | undefined {
	const word = apps[0]?.image.toLowerCase() ?? "";
	if (apps.length !== 1 || !/^[0-9a-f-]{4,36}$/.test(word)) return undefined;
	const { places } = listPodPlaces(dataDirectory, ["prepared"]);
	const matches = places.filter(({ uuid }) => uuid.startsWith(word));
	if (matches.length === 1) return matches[0];
	if (!isUuid(word)) return undefined;
	return fail("pod-not-prepared", `pod ${word} is not prepared`, {
		hint: "a pod runs once; make another one with rkt prepare, or name the image",
	});
}

function unitOfPod(dataDirectory: string, pod: PodPlace, { options, apps }: Invocation): OwnSettings {
	const [late] = PREPARE_OPTIONS.filter((spec) => options.given(spec.name));
	const [app] = apps;
	if (late !== undefined) conflict(`--${late.name} is decided when a pod is prepared, and this one is`);
	if (app && (app.args.length > 0 || app.options.length > 0)) {
		conflict("what an app gets is decided when a pod is prepared, and this one is");
	}
	if (options.given("restart") && options.text("restart") !== "no") {
		conflict("a prepared pod runs once, it cannot be combined with --restart");
	}
	const { directory, uuid } = podPlace(dataDirectory, "prepared", pod.uuid);
	const names = readPodManifest(directory).apps.map(({ name }) => name);
	return {
		description: `Pod ${uuid} with ${names.join(", ")}`,
		manual: "rkt-run-prepared",
		notify: readStage1OfPod(dataDirectory, directory).entrypoints.module !== undefined,
		command: ["run-prepared", ...writtenFlags(options, [...START_OPTIONS, VERIFY]), uuid],
		uuidFile: undefined,
		removesPod: false,
		needs: [dataDirectory],
		restart: "no",
	};
}

function unitOfImages(context: CommandContext, dataDirectory: string, invocation: Invocation): OwnSettings {
	const { options, apps } = invocation;
	const flags = readPrepareFlags(context, invocation);
	const { stage1 } = readConfig(context);
	const ownStage1 = flags.stage1.kind === "default" && !stage1.name && !stage1.location;
	const words = apps.flatMap((app, index) => appWords(app, index === apps.length - 1));
	const mounts = invocation.globalMounts.map((mount) => `--mount=${mount}`);
	const podFlags = writtenFlags(options, RUN_OPTIONS);
	const images = apps.map(({ image }) => image).join(", ");
	return {
		description: `Pod of ${images || options.text("pod-manifest")}`,
		manual: "rkt-run",
		notify: ownStage1,
		command: ["run", ...podFlags, ...mounts, ...words],
		uuidFile: UNIT_UUID_FILE,
		removesPod: !options.on("keep"),
		needs: [dataDirectory, ...flags.volumes.flatMap(({ source }) => source ?? [])],
		restart: options.text("restart"),
	};
}

function appWords(app: AppArguments, last: boolean): string[] {
	const reference = parseImageReference(app.image);
	const image = reference.type === "file" ? reference.path : app.image;
	const args = app.args.length === 0 ? [] : ["--", ...app.args, ...(last ? [] : ["---"])];
	return [image, ...app.options.map(writtenFlag), ...args];
}

function commonSettings({ options }: Invocation): CommonSettings {
	const stopTimeout = options.duration("stop-timeout") / 1000;
	if (stopTimeout <= 0) invalidValue("stop-timeout", options.text("stop-timeout"), "it must be more than 0");
	const interpreter = path.dirname(process.execPath);
	return {
		program: path.resolve(process.argv[1] as string),
		globals: writtenFlags(options, GLOBAL_OPTIONS),
		// Node may be where systemd does not look.
		searchPath: SEARCH_PATH.split(":").includes(interpreter) ? undefined : `${interpreter}:${SEARCH_PATH}`,
		stopTimeout,
	};
}

function describe({ options }: Invocation, { description }: OwnSettings): { description: string } {
	const text = options.given("description") ? options.text("description") : description;
	if (/\p{Cc}/u.test(text)) invalidValue("description", text, "it must be one line");
	return { description: text };
}
