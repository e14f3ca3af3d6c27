#pragma once
// Words of strangers (labels, column and file names) inside Markdown, XML, YAML and commands: they stay words.
#include <string>
#include <string_view>

namespace mlac {

// For a line or a table cell of GitHub-flavoured Markdown: one line, controls visible, no markup, link or entity.
std::string EscapeMarkdown(std::string_view text);

// For XML text and attribute values: controls visible, no markup.
std::string EscapeXml(std::string_view text);

// A double-quoted YAML 1.1 and 1.2 scalar with its quotes: reads back as text, whatever that holds. text must be valid UTF-8.
std::string QuoteYaml(std::string_view text);

// As a POSIX shell reads it back: itself where nothing in it means something to a shell, else in single quotes.
std::string ShellQuoted(const std::string& text);

// A fenced code block, whatever backticks the code holds; controls other than line breaks are made visible. language may be "".
std::string CodeBlock(std::string_view language, std::string_view code);

}  // namespace mlac
