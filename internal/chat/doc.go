// Package chat converts a conversation to the tokens that a model was trained on.
//
// A model's chat template is found by [Load] in the files of its folder, or passed to [New]
// from a GGUF file. [Template.Render] applies it to messages and tools, and [Prompt.Encode]
// converts the result to tokens such that a message cannot forge a turn: only the
// template's own text becomes control tokens, whatever the messages contain. For messages
// without control tokens the ids are those of Hugging Face's apply_chat_template.
package chat
