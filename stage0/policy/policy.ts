/**
 * Which pods a rule is about. Every member that is given must fit, and within a member one of its entries.
 */
export interface Selector {
	/** Image names; each also stands for the names below it, by whole components. */
	readonly images?: readonly string[] | undefined;
	/** `unsigned`, or who signed as {@link PodImage.signers} has it. */
	readonly signers?: readonly string[] | undefined;
	/** `user:NAME`, `user:UID`, `group:NAME` or `group:GID`. */
	readonly callers?: readonly string[] | undefined;
}

/** What a rule asks of a pod; an absent member asks nothing. */
export interface Limits {
	/** No pod at all. */
	readonly deny?: true | undefined;
	/** Only these stage1 images: names of bundled ones or whole image ids. */
	readonly stage1?: readonly string[] | undefined;
	readonly hostNetwork?: false | undefined;
	readonly hostIpc?: false | undefined;
	/** Only these words of --insecure-options. */
	readonly insecureOptions?: readonly string[] | undefined;
	/** Host volumes only from these directories and what is below them. */
	readonly hostVolumes?: readonly string[] | undefined;
	/** No app may have other capabilities. */
	readonly capabilities?: readonly string[] | undefined;
	/** No app may make system calls that it could not make by default. */
	readonly seccomp?: "default" | undefined;
	/** User namespaces, or a machine with users of its own. */
	readonly privateUsers?: true | undefined;
}

export interface Rule extends Limits {
	readonly name: string;
	/** Without it every pod. */
	readonly match?: Selector | undefined;
	/** What is left out of `match`. */
	readonly except?: Selector | undefined;
	/** What the administrator wants to say to those whom the rule refuses. */
	readonly message?: string | undefined;
}

/** A rule and the file that it stands in. */
export interface LocatedRule {
	readonly file: string;
	readonly rule: Rule;
}

export const UNSIGNED = "unsigned";

/** Who asks for the pod. */
export interface Caller {
	/** Everything that {@link Selector.callers} may call this one. */
	readonly names: readonly string[];
}

export interface PodImage {
	/** As its own manifest says. */
	readonly name: string;
	/** Who signed it and each of its dependencies: `openpgp:FINGERPRINT`, `cosign:FINGERPRINT` or `unsigned`. Not empty. */
	readonly signers: readonly string[];
}

export interface PodAppFacts {
	readonly name: string;
	readonly image: PodImage;
	readonly capabilities: readonly string[];
	/** Its system calls are among the default ones. */
	readonly defaultSeccomp: boolean;
}

/** A pod as it is going to be, as far as rules look at it. */
export interface PodFacts {
	/** Not empty. */
	readonly callers: readonly Caller[];
	readonly apps: readonly PodAppFacts[];
	readonly stage1: {
		/** Whole image id; undefined when it cannot be told. */
		readonly id: string | undefined;
		/** Name of the bundled image with this id. */
		readonly bundled: string | undefined;
		readonly name: string;
	};
	/** Undefined while it is not decided, as when a pod is prepared. */
	readonly hostNetwork: boolean | undefined;
	readonly hostIpc: boolean | undefined;
	/** Words of --insecure-options that are in effect. */
	readonly insecure: readonly string[];
	readonly volumes: readonly { readonly name: string; readonly source: string }[];
	readonly privateUsers: boolean;
	/** A path without links; undefined when it leads nowhere. */
	readonly resolve: (path: string) => string | undefined;
}

/** What one rule says about one pod. */
export interface RuleVerdict {
	readonly file: string;
	readonly rule: string;
	readonly applies: boolean;
	/** Why it refuses the pod; empty when it does not. */
	readonly reasons: readonly string[];
	readonly message: string | undefined;
}
