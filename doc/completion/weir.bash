# SPDX-License-Identifier: Apache-2.0
# weir.bash - completion of weir(1) for bash

_weir_guests()
{
	weir list 2>/dev/null | while read -r name _; do
		[ "$name" = NAME ] || printf '%s\n' "$name"
	done
}

# Names of policies: the built-in ones and what lies where weir looks.
_weir_policies()
{
	local dir file

	printf '%s\n' base hosting jail build time-lab id-lab all-trap
	for dir in "${XDG_CONFIG_HOME:-$HOME/.config}/weir" /etc/weir /usr/local/share/weir/policies \
		/usr/share/weir/policies; do
		for file in "$dir"/*.policy; do
			[ -f "$file" ] && file=${file##*/} && printf '%s\n' "${file%.policy}"
		done
	done
}

_weir_words()
{
	local word

	COMPREPLY=()
	while IFS= read -r word; do
		COMPREPLY+=("$word")
	done < <(compgen -W "$1" -- "$2" | sort -u)
}

# A policy is a name, or the path of a file.
_weir_policy()
{
	case $1 in
	*/*) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$1") ;;
	*) _weir_words "$(_weir_policies)" "$1" ;;
	esac
}

# The command of a guest begins at word $1.
_weir_command()
{
	if declare -F _command_offset >/dev/null; then
		_command_offset "$1"
	else
		mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
	fi
}

_weir_run()
{
	local cur=$1 prev=$2 i

	for ((i = 2; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--) _weir_command $((i + 1)); return ;;
		-p | -n | -r | --policy | --name | --root | --set) ((i++)) ;;
		-*) ;;
		*) _weir_command "$i"; return ;;
		esac
	done
	case $prev in
	-p | --policy) _weir_policy "$cur"; return ;;
	-r | --root) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	-n | --name) return ;;
	--set)
		compopt -o nospace
		_weir_words 'guest.init= guest.hostname= guest.vcpus= guest.memory= guest.root= guest.writable=
			guest.kernel_release= guest.cwd= namespaces.user= namespaces.pid= namespaces.mnt=
			namespaces.uts= namespaces.ipc= namespaces.net= namespaces.time= namespaces.cgroup=
			ids.uid= ids.gid= caps.keep= caps.drop= caps.no_new_privs= sched.source= sched.placement=
			memory.budget= memory.release= memory.floor= memory.merge= memory.weight=
			console.con0= disk.0.image= disk.0.cow= disk.0.ram= disk.0.direct= disk.0.readonly= disk.0.depth= disk.0.serial= disk.0.mount= disk.0.type= net.0.backend= net.0.mac= net.0.address= net.0.gateway= net.0.routes= guest.hotplug=' "$cur"
		return ;;
	esac
	case $cur in
	-*) _weir_words '-p --policy -n --name -r --root --set -d --detach -v --verbose --' "$cur" ;;
	*) _weir_command "$COMP_CWORD" ;;
	esac
}

_weir_policy_command()
{
	local cur=$1 prev=$2 i

	if [ "$COMP_CWORD" -eq 2 ]; then
		_weir_words 'check show explain diff learn test import export' "$cur"
		return
	fi
	case ${COMP_WORDS[2]} in
	learn | test)
		for ((i = 3; i < COMP_CWORD; i++)); do
			[ "${COMP_WORDS[i]}" = -- ] && { _weir_command $((i + 1)); return; }
		done ;;
	esac
	case $prev in
	-p | --policy) _weir_policy "$cur"; return ;;
	--set | -n | --name) return ;;
	-o | --output | --merge | --profile)
		compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	-r | --root) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	esac
	case ${COMP_WORDS[2]}:$cur in
	check:-*) _weir_words '--audit --profile --json --set' "$cur"; return ;;
	learn:-*) _weir_words '--json -o --output --merge -p --policy -r --root -n --name --set --' "$cur"; return ;;
	test:-*) _weir_words '--json -o --output -r --root -n --name --set --' "$cur"; return ;;
	import:-*) _weir_words '--json -o --output -p --policy' "$cur"; return ;;
	export:-*) _weir_words '--json -o --output --set' "$cur"; return ;;
	*:-*) _weir_words '--json -p --policy --set' "$cur"; return ;;
	esac
	case ${COMP_WORDS[2]} in
	import) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	test | export) _weir_policy "$cur" ;;
	check) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	show | diff) _weir_policy "$cur" ;;
	esac
}

_weir_disk()
{
	local cur=$1 prev=$2

	if [ "$COMP_CWORD" -eq 2 ]; then
		_weir_words 'create info check merge commit convert add remove' "$cur"
		return
	fi
	case $prev in
	--size | --depth | --serial) return ;;
	--fs) _weir_words ext4 "$cur"; return ;;
	--format) _weir_words 'raw qcow2 vmdk vdi vhdx' "$cur"; return ;;
	--from) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	esac
	case ${COMP_WORDS[2]}$COMP_CWORD in
	add3 | remove3) _weir_words "$(_weir_guests)" "$cur"; return ;;
	esac
	case ${COMP_WORDS[2]}$cur in
	add-*) _weir_words '--readonly --cached --depth --serial --backing' "$cur" ;;
	create-*) _weir_words '--size --from --backing --fs --force' "$cur" ;;
	info-*) _weir_words '--json' "$cur" ;;
	check-*) _weir_words '--json --backing' "$cur" ;;
	merge-*) _weir_words '--force --backing' "$cur" ;;
	commit-*) _weir_words '--again --backing' "$cur" ;;
	convert-*) _weir_words '--force --format' "$cur" ;;
	*) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	esac
}

_weir()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		_weir_words 'run list exec console log stats check top time calendar mem memd pause resume stop kill reboot disk policy version --help --version' "$cur"
		return
	fi
	case ${COMP_WORDS[1]} in
	run) _weir_run "$cur" "$prev" ;;
	policy) _weir_policy_command "$cur" "$prev" ;;
	disk) _weir_disk "$cur" "$prev" ;;
	exec)
		if [ "$COMP_CWORD" -eq 2 ]; then
			_weir_words "$(_weir_guests)" "$cur"
		elif [ "$COMP_CWORD" -eq 3 ]; then
			_weir_words '--' "$cur"
		else
			_weir_command 4
		fi ;;
	list | version) _weir_words '--json' "$cur" ;;
	mem) _weir_words "--json --all --clean --dirty --deadline show plug unplug release $(_weir_guests)" "$cur" ;;
	memd) _weir_words '--budget --interval --idle --json -v status stop' "$cur" ;;
	time) _weir_words "--json show set offset rate freeze thaw $(_weir_guests)" "$cur" ;;
	calendar)
		case $prev in
		-n | --machines | -t | --time) ;;
		*)
			_weir_words '-n -t -v' "$cur"
			COMPREPLY+=($(compgen -f -- "$cur")) ;;
		esac ;;
	stats | check) _weir_words "--json $(_weir_guests)" "$cur" ;;
	log) _weir_words "--console $(_weir_guests)" "$cur" ;;
	top)
		case $prev in
		-n | -d | --filter) ;;
		--sort) _weir_words 'cpu time sleeps preempts pid name state vcpu' "$cur" ;;
		*) _weir_words "--batch --json -n -d --sort --reverse --filter $(_weir_guests)" "$cur" ;;
		esac ;;
	stop | pause)
		[ "$prev" = -t ] || [ "$prev" = --time ] || _weir_words "-t $(_weir_guests)" "$cur" ;;
	kill | reboot | resume | console) _weir_words "$(_weir_guests)" "$cur" ;;
	esac
}

complete -F _weir weir
