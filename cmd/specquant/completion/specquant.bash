# Completion of specquant for bash. To use it: source <(specquant completion bash)

_specquant() {
    local word=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]/#\~/$HOME} line paths=none
    [[ $word == "=" ]] && word=
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            :*) paths=${line#:} ;;
            *) COMPREPLY+=("${line%%$'\t'*}") ;;
        esac
    done < <("$program" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    # What stands before a colon is a word of its own for bash; so are flags that end in "=".
    case $paths in
        files | folders)
            compopt -o filenames
            local kind=-f
            [[ $paths == folders ]] && kind=-d
            while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen "$kind" -- "$word")
            ;;
    esac
}
complete -F _specquant specquant
