import { flag, list, type OptionSpec, text } from "../option.ts";

/** Which stage1 image; at most one of them (cli.md section 3.6 of the reference). */
export const STAGE1_OPTIONS: readonly OptionSpec[] = [
	text("stage1-url", "URL of the stage1 image to use"),
	text("stage1-path", "path of the stage1 image to use"),
	text("stage1-name", "name of the stage1 image to use"),
	text("stage1-hash", "hash of the stage1 image to use, which is in the store"),
	text("stage1-from-dir", "file name of a stage1 image in the stage1 images directory"),
	text(
		"stage1-image",
		"bundled stage1 image (nspawn, kvm, kvm-uml, kvm-lkvm), or path, URL or hash of another",
	),
];

export const PULL_OPTIONS: readonly OptionSpec[] = [
	flag("store-only", "use only images in the store", { deprecated: "please use --pull-policy=never" }),
	flag("no-store", "fetch images ignoring the store", { deprecated: "please use --pull-policy=update" }),
	flag("local", "use only images in the store", { deprecated: "please use --pull-policy=never" }),
];

export function pullPolicy(fallback: "new" | "update"): OptionSpec {
	return text("pull-policy", "when to pull an image: never, new or update", {
		default: fallback,
		choices: ["never", "new", "update"],
	});
}

/** What `prepare` decides; also known to `run`. */
export const PREPARE_OPTIONS: readonly OptionSpec[] = [
	...STAGE1_OPTIONS,
	...PULL_OPTIONS,
	pullPolicy("new"),
	list(
		"volume",
		"volume of the pod: NAME,kind=host,source=PATH[,readOnly=true][,recursive=false][,idmap=false][,suid=true] or NAME,kind=empty[,mode=0755][,uid=0][,gid=0]",
	),
	list("port", "port to expose: NAME:[HOSTIP:]HOSTPORT"),
	flag("inherit-env", "inherit all environment variables not set by apps"),
	list("set-env", "environment variable for all apps: NAME=VALUE"),
	list("set-env-file", "file with environment variables for all apps, one NAME=VALUE a line"),
	flag("no-overlay", "copy the images instead of using overlayfs"),
	text(
		"private-users",
		"run the pod in user namespaces: yes, no, or auto (where it works); no unless configured",
		{
			bare: "yes",
		},
	),
	text("pod-manifest", "path of a ready pod manifest, instead of images and their flags"),
];

/** What is decided when the pod starts; known to `run` and `run-prepared`. */
export const START_OPTIONS: readonly OptionSpec[] = [
	list("net", "networks of the pod: default, default-restricted, host, none, or names with NAME:KEY=VALUE", {
		bare: "default",
		default: "default",
	}),
	list("private-net", "the name of --net in rkt 0.8", {
		bare: "all",
		deprecated: "use --net instead",
	}),
	list("dns", "name servers for resolv.conf, or host, or none"),
	list("dns-search", "DNS search domain"),
	list("dns-opt", "DNS option"),
	text("dns-domain", "DNS domain"),
	list("hosts-entry", "entry of /etc/hosts: IP=NAME, or host for a copy of the host's"),
	text("hostname", "host name of the pod; rkt-UUID when it is empty"),
	flag("interactive", "run the app on this terminal; only for pods with one app"),
	flag("mds-register", "register the pod with the metadata service"),
	text("journal-size", "what the journal of the pod may occupy, such as 64Mi; 256Mi unless configured"),
	flag(
		"trace",
		"print how long each phase of the run takes; afterwards rkt status --trace shows all of them",
	),
	text("ipc", "IPC namespace of the pod: auto, private or parent", {
		choices: ["", "auto", "private", "parent"],
	}),
];

/** Known to `prepare`, `run` and `run-prepared`. */
export const VERIFY = text(
	"verify",
	"check of rendered images before they run: default, or always: read every file",
	{
		choices: ["default", "always"],
		default: "default",
	},
);

/** Everything that makes a pod what it is; the flags of `run`, but for those that are about the command itself. */
export const RUN_OPTIONS: readonly OptionSpec[] = [...PREPARE_OPTIONS, ...START_OPTIONS, VERIFY];

export const UUID_FILE_SAVE = text("uuid-file-save", "write the UUID of the pod to this file");
export const UUID_FILE = text("uuid-file", "read the UUID of the pod from this file");
export const FORMAT = text("format", "output format: json or json-pretty; text when it is empty", {
	choices: ["", "json", "json-pretty"],
});
export const NO_LEGEND = flag("no-legend", "suppress the line with the column names");
export const FULL = flag("full", "print full identifiers and times");
export const PRETTY_PRINT = flag("pretty-print", "indent the JSON", { default: "true" });
