# complete.zsh SCRIPT LINE...: prints what zsh offers behind each LINE with the completion SCRIPT: `== LINE` and then a
# word a line. Completion only works in the line editor, so an interactive zsh in a terminal of its own does the work.
if [[ -n $COMPLETE_SCRIPT ]]; then
	autoload -U compinit
	compinit -D -u
	source $COMPLETE_SCRIPT
	compadd() {
		# With -O, -A or -D it only filters an array for the completion system itself.
		if [[ " ${@[1,(i)(-|--)]} " != *' -'[OAD]' '* ]]; then
			local -a matches
			builtin compadd -A matches "$@"
			print -rl -- $matches >>$COMPLETE_OUTPUT
		fi
		builtin compadd "$@"
	}
	zle -C offer list-choices _main_complete
	offer-all() {
		local line
		for line in ${(f)COMPLETE_LINES}; do
			print -r -- "== $line" >>$COMPLETE_OUTPUT
			BUFFER=$line CURSOR=$#line
			zle offer
		done
		exit
	}
	zle -N offer-all
	zle-line-init() { zle offer-all }
	zle -N zle-line-init
else
	self=$0:A
	export COMPLETE_SCRIPT=$1 COMPLETE_LINES=${(F)@[2,-1]} COMPLETE_OUTPUT=$(mktemp)
	zmodload zsh/zpty
	zpty shell "zsh -f -i"
	zpty -w shell "source $self"
	while zpty -r shell screen; do done
	zpty -d shell
	cat $COMPLETE_OUTPUT
	rm $COMPLETE_OUTPUT
fi
