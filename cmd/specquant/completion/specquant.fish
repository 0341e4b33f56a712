# Completion of specquant for fish. To use it:
# specquant completion fish > ~/.config/fish/completions/specquant.fish

function __specquant_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    for line in ($words[1] __complete $words[2..-1] $word 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path $word
            case ':folders'
                __fish_complete_directories $word ''
            case ':*'
            case '*'
                echo $line
        end
    end
end
complete -c specquant -f -a '(__specquant_complete)'
