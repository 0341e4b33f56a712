#compdef specquant
# Completion of specquant for zsh. To use it: source <(specquant completion zsh)

_specquant() {
    local line paths=none
    local -a found
    while IFS= read -r line; do
        case $line in
            :*) paths=${line#:} ;;
            *) found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done < <("${~words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( $#found )) && _describe -t specquant specquant found
    case $paths in
        files) _files ;;
        folders) _files -/ ;;
    esac
}

if [[ $funcstack[1] == _specquant ]]; then
    _specquant "$@"
else
    compdef _specquant specquant
fi
