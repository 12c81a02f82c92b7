/** Completion scripts: thin, as `weft __complete` knows what can come next. */

/** The hidden subcommand: words typed so far in, `value<TAB>about` lines out; `:files` asks for file names too. */
export const COMPLETE_COMMAND = '__complete';
export const FILES_LINE = ':files';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export function completionScript(shell: Shell): string {
  return { bash: BASH, zsh: ZSH, fish: FISH }[shell];
}

const BASH = `# bash completion for weft
_weft() {
  local line value word=\${COMP_WORDS[COMP_CWORD]} IFS=$'\\n'
  # A word with "=" or ":" comes in pieces (COMP_WORDBREAKS): put together what has no blank between.
  local -a words=()
  local i piece joined=
  for ((i = 1; i <= COMP_CWORD; i++)); do
    piece=\${COMP_WORDS[i]}
    if [[ -n $joined && ( $piece == [=:]* || \${words[-1]} == *[=:] ) && \${COMP_LINE} == *"\${words[-1]}$piece"* ]]; then
      words[-1]+=$piece
    else
      words+=("$piece")
    fi
    joined=1
  done
  local whole=\${words[-1]}
  local -a lines=()
  COMPREPLY=()
  mapfile -t lines < <("\${COMP_WORDS[0]}" ${COMPLETE_COMMAND} -- "\${words[@]}" 2>/dev/null)
  for line in "\${lines[@]}"; do
    value=\${line%%$'\\t'*}
    if [[ $value == ${FILES_LINE} ]]; then
      compopt -o filenames 2>/dev/null
      COMPREPLY+=($(compgen -f -- "$word"))
    else
      # bash replaces only the piece being typed.
      COMPREPLY+=("\${value#"\${whole%"$word"}"}")
    fi
  done
}
complete -F _weft weft
`;

const ZSH = `#compdef weft
_weft() {
  local line value about
  local -a lines values shown
  lines=("\${(@f)$("\${words[1]}" ${COMPLETE_COMMAND} -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in "\${lines[@]}"; do
    [[ -z $line ]] && continue
    if [[ $line == ${FILES_LINE} ]]; then
      _files
      continue
    fi
    value=\${line%%$'\\t'*}
    about=\${line#*$'\\t'}
    values+=("$value")
    shown+=("$value\${about:+  -- $about}")
  done
  (( \${#values} )) && compadd -l -d shown -a values
}
if [[ \${funcstack[1]} == _weft ]]; then
  _weft "$@"
else
  compdef _weft weft
fi
`;

const FISH = `# fish completion for weft
function __weft_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] ${COMPLETE_COMMAND} -- $words[2..-1] 2>/dev/null)
        if test "$line" = ${FILES_LINE}
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c weft -f -a '(__weft_complete)'
`;
