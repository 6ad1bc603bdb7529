import { flag, integer, list, type OptionSpec, text } from "../option.ts";

export const SIGNATURE = text("signature", "detached signature of the preceding image");

/** The flags of one image in `run` and `prepare` (cli.md section 3.4 of the reference). */
export const APP_OPTIONS: readonly OptionSpec[] = [
	SIGNATURE,
	text("exec", "program to run instead of the preceding image's"),
	text("name", "name of the app made from the preceding image"),
	list("mount", "mount of a volume: volume=NAME,target=PATH; in front of the images it holds for all"),
	text("user", "user: name, number, or a path in the image whose owner is taken"),
	text("group", "group: name, number, or a path in the image whose group is taken"),
	text("supplementary-gids", "comma-separated group numbers"),
	text("working-dir", "working directory of the app"),
	flag("readonly-rootfs", "make the root file system of the app read-only", { valueRequired: true }),
	list("environment", "environment variable of the app: NAME=VALUE"),
	list("annotation", "annotation of the app: NAME=VALUE"),
	list("user-annotation", "annotation without a meaning for rkt: NAME=VALUE"),
	list("user-label", "label without a meaning for rkt: NAME=VALUE"),
	text("memory", "memory limit of the app, such as 256M or 1Gi"),
	text("cpu", "CPU limit of the app, such as 500m or 2"),
	integer("cpu-shares", "CPU shares of the app, from 2 to 262144"),
	integer("pids", "limit of the app's processes and threads; 4096 without it"),
	integer("oom-score-adj", "how soon the kernel kills the app when memory is short, from -1000 to 1000"),
	text("caps-retain", "comma-separated capabilities to keep"),
	text("caps-remove", "comma-separated capabilities to take away"),
	text("cap-retain", "capabilities to keep", { deprecated: "use --caps-retain instead" }),
	text("cap-remove", "capabilities to take away", { deprecated: "use --caps-remove instead" }),
	text("seccomp", "system call filter: mode=retain|remove[,errno=NAME],CALL,…"),
	text("stdin", "standard input of the app: null, stream or tty", { hidden: true }),
	text("stdout", "standard output of the app: log, null, stream or tty", { hidden: true }),
	text("stderr", "standard error of the app: log, null, stream or tty", { hidden: true }),
];
