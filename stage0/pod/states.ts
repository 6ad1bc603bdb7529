/** The directories below `<data>/pods`, in the order in which a pod passes through them. */
export const POD_DIRECTORIES = ["embryo", "prepare", "prepared", "run", "exited-garbage", "garbage"] as const;

export type PodDirectoryName = (typeof POD_DIRECTORIES)[number];

export type PodState =
	| "embryo"
	| "preparing"
	| "aborted prepare"
	| "prepared"
	| "running"
	| "exited"
	| "exited deleting"
	| "exited garbage"
	| "deleting"
	| "garbage";

const STATES: Readonly<Record<PodDirectoryName, readonly [locked: PodState, free: PodState]>> = {
	embryo: ["embryo", "embryo"],
	prepare: ["preparing", "aborted prepare"],
	prepared: ["prepared", "prepared"],
	run: ["running", "exited"],
	"exited-garbage": ["exited deleting", "exited garbage"],
	garbage: ["deleting", "garbage"],
};

/** The state of a pod: where its directory is and whether somebody holds it locked (pod.md section 2). */
export function stateOf(where: PodDirectoryName, locked: boolean): PodState {
	return STATES[where][locked ? 0 : 1];
}

/** True when the pod has run and its apps have ended. */
export function isAfterRun(state: PodState): boolean {
	return ["exited", "exited garbage", "exited deleting", "deleting", "garbage"].includes(state);
}

/** True when nothing more will happen in the pod. */
export function isFinished(state: PodState): boolean {
	return isAfterRun(state) || state === "aborted prepare";
}

/** True when the manifest of the pod may not be complete. */
export function lacksManifest(state: PodState): boolean {
	return ["embryo", "preparing", "aborted prepare", "deleting"].includes(state);
}
