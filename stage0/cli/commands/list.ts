import { messageOf } from "../../../lib/errors.ts";
import { writeStderr, writeStdout } from "../../../lib/log.ts";
import { APPC_VERSION } from "../../../lib/version.ts";
import type { NetInfo } from "../../../stage1/pod-record.ts";
import { listPodPlaces } from "../../pod/pod-directories.ts";
import { observePlace, observePod } from "../../pod/pod-lock.ts";
import { type PodView, toPodJson, viewPod } from "../../pod/pod-view.ts";
import { POD_DIRECTORIES } from "../../pod/states.ts";
import type { CommandContext, Handler } from "../command.ts";
import { fullTime, relativeTime } from "../output/human.ts";
import { type OutputFormat, printJson } from "../output/print-json.ts";
import { formatTabTable } from "../output/tab-table.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** `rkt list`: one line for each app of each pod, or JSON. */
export const listPods: Handler = async (context, { options }) => {
	const views = await viewPods(context);
	const format = options.text("format") as OutputFormat;
	const problems = views.flatMap((view) =>
		view.problems.map((problem) => `pod ${view.pod.uuid}: ${messageOf(problem)}`),
	);
	if (format !== "") printJson(views.length === 0 ? null : views.map(toPodJson), format);
	else writeStdout(formatTabTable(table(views, options.on("full"), options.on("no-legend"))));
	if (problems.length > 0) reportProblems(problems);
	return 0;
};

async function viewPods(context: CommandContext): Promise<PodView[]> {
	const dataDirectory = findDataDirectory(context);
	const { places, warnings } = listPodPlaces(dataDirectory, POD_DIRECTORIES);
	for (const warning of warnings) context.log.info(warning);
	if (places.length === 0) return [];
	const syscall = await loadSyscall();
	return places.flatMap((place) => {
		const pod = observePlace(syscall, place) ?? observePod(syscall, dataDirectory, place.uuid);
		return pod === undefined ? [] : [viewPod(pod)];
	});
}

function table(views: readonly PodView[], full: boolean, noLegend: boolean): string[][] {
	const imageId = full ? ["IMAGE ID"] : [];
	const header = ["UUID", "APP", "IMAGE NAME", ...imageId, "STATE", "CREATED", "STARTED", "NETWORKS"];
	const now = new Date();
	return [...(noLegend ? [] : [header]), ...views.flatMap((view) => podRows(view, full, now))];
}

/** Only the first row of a pod names it. */
function podRows(view: PodView, full: boolean, now: Date): string[][] {
	const { pod, manifest } = view;
	const time = (date: Date): string => (full ? fullTime(date) : relativeTime(date, now));
	const apps = manifest?.apps ?? [];
	const about = [
		pod.state,
		view.created ? time(view.created) : "",
		view.started ? time(view.started) : "",
		formatNetworks(view.networks),
	];
	const uuid = full ? pod.uuid : pod.uuid.slice(0, 8);
	if (apps.length === 0) return [[uuid, "-", "-", ...(full ? ["-"] : []), ...about]];
	return apps.map((app, index) => [
		index === 0 ? uuid : "",
		app.name,
		app.imageName === undefined ? "--" : imageName(app.imageName, app.imageVersion),
		...(full ? [app.imageId.slice(0, 19)] : []),
		...(index === 0 ? about : ["", "", "", ""]),
	]);
}

function imageName(name: string, version: string | undefined): string {
	return version === undefined ? name : `${name}:${version}`;
}

/** `default:ip4=172.16.28.2, other:ip4=10.1.1.2`. */
export function formatNetworks(networks: readonly NetInfo[]): string {
	return networks.map((network) => `${network.netName}:ip4=${network.ip}`).join(", ");
}

function reportProblems(problems: readonly string[]): void {
	const separator = "-".repeat(40);
	writeStderr(`${problems.length} error(s) encountered when listing pods:\n`);
	for (const problem of problems) writeStderr(`${separator}\n${problem}\n`);
	writeStderr(`${separator}\nmisc:\n  rkt's appc version: ${APPC_VERSION}\n${separator}\n`);
}
