package Mesh::Style;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The house style as rules over lines, in the manner of curl's checksrc.
# check_c() and check_script() take a path, as the tree names it, and a text,
# and give back what is wrong as "path:line: sentence".  They read nothing;
# check_c() is also told of nouns, beside the stem of the file and its types,
# that functions may be named for.  What concerns several files is in the
# test.

use strict;
use warnings;

use constant {
    COLUMNS_MAX        => 79,
    FILE_LINES_MAX     => 900,
    FUNCTION_LINES_MAX => 100,
    LONG_FUNCTION_MAX  => 150,
    PARAMETERS_MAX     => 5,
    TEST_LINES_MAX     => 320,
};

my $BANNED = qr/\b(?:sprintf|strcpy|strcat|strtok|gets|atoi|system|popen)
                \s*\(/x;
my $HEAP = qr/\b(?:malloc|calloc|realloc|strdup)\s*\(/;

# words of the right column of the glossary that name nothing else in C

my $FOREIGN = qr/(?:^|_)(users?|friends?|clusters?|channels?|subscribers?
                 |packets?|broadcasts?|spools?|backends?|credentials?
                 |instances?|receipts?|daemons?)(?:_|$)/x;
my $VAGUE = qr/(?:^|_)(do|handle|process|manage)_/;

my $HEADER_C = join "\n",
    '/*', ' * Copyright (C) The Mesh contributors',
    ' * SPDX-License-Identifier: AGPL-3.0-only', ' */', '', '', '';
my $HEADER_SCRIPT = join "\n",
    '# Copyright (C) The Mesh contributors',
    '# SPDX-License-Identifier: AGPL-3.0-only', '', '';


# C.

sub check_c {
    my ($path, $text, @more_nouns) = @_;

    my @lines = split /\n/, $text;
    my @code = split /\n/, blank_comments($text);
    my @functions = functions(\@code);
    my @found;

    my $note = sub { push @found, "$path:$_[0]: $_[1]" };

    $note->(1, 'the file does not open with the licence header')
        if index($text, $HEADER_C) != 0;
    $note->(scalar @lines, 'more than ' . FILE_LINES_MAX . ' lines')
        if @lines > FILE_LINES_MAX;

    check_lines($note, \@lines);
    check_code_lines($note, $path, \@code, \@lines);
    check_bodies($note, \@code);
    check_gaps($note, \@code, \@lines);

    my @nouns = (nouns($path, $text), @more_nouns);

    check_functions($note, \@nouns, $_, \@code, \@lines) for @functions;
    check_stems($note, $path, \@nouns, \@functions);
    check_names($note, \@code, \@lines) unless $path =~ m{^t/};
    check_prototypes($note, \@nouns, \@code, \@lines) if $path =~ /\.h$/;

    return @found;
}


# Comments become blanks and the insides of strings become "x", so that rules
# see code only and columns stay.

sub blank_comments {
    my ($text) = @_;

    $text =~ s{ (/\*.*?\*/)
              | "((?:[^"\\\n]|\\.)*)" | '((?:[^'\\\n]|\\.)*)' }{
        my ($comment, $string, $char) = ($1, $2, $3);

        defined $comment ? $comment =~ s/[^\n]/ /gr
        : defined $string ? '"' . ('x' x length $string) . '"'
        : "'" . ('x' x length $char) . "'";
    }gsex;

    return $text;
}


# Each function definition: name, first line of its head, line of the name,
# of the brace and of the end (from 0), and its head as one line.

sub functions {
    my ($code) = @_;

    my @functions;

    for my $brace (0 .. $#$code) {
        next unless $code->[$brace] =~ /^\{/;

        my $head = $brace;
        $head-- while $head > 0 && $code->[$head - 1] =~ /\S/
                      && $code->[$head - 1] !~ /^#|[;}]\s*$/;

        my $text = join ' ', @$code[$head .. $brace - 1];
        my ($name) = $text =~ /(\w+)\s*\(/ or next;
        my ($line) = grep { $code->[$_] =~ /\b\Q$name\E\s*\(/ }
                     $head .. $brace;
        my ($end) = grep { $code->[$_] =~ /^\}/ } $brace .. $#$code;

        push @functions, {
            name  => $name,
            head  => $head,
            line  => $line,
            brace => $brace,
            end   => $end // $#$code,
            text  => $text,
        };
    }

    return @functions;
}


sub check_lines {
    my ($note, $lines) = @_;

    my $blanks = 0;

    for my $i (0 .. $#$lines) {
        my $line = $lines->[$i];

        $note->($i + 1, 'more than ' . COLUMNS_MAX . ' columns')
            if columns($line) > COLUMNS_MAX;
        $note->($i + 1, 'a tab') if $line =~ /\t/;
        $note->($i + 1, 'a blank at the end') if $line =~ /\s$/;

        $blanks = $line eq '' ? $blanks + 1 : 0;
        $note->($i + 1, 'three blank lines') if $blanks == 3;
    }

    $note->(scalar @$lines, 'a blank line at the end of the file')
        if @$lines && $lines->[-1] eq '';

    return;
}


# Letters, not bytes, of a UTF-8 line.

sub columns {
    my ($line) = @_;

    return scalar(() = $line =~ /[^\x80-\xbf]/g);
}


sub check_code_lines {
    my ($note, $path, $code, $lines) = @_;

    for my $i (0 .. $#$code) {
        my $line = $code->[$i];
        my $n = $i + 1;

        $note->($n, 'a // comment') if $line =~ m{//};
        $note->($n, 'no blank after a keyword')
            if $line =~ /\b(?:if|for|while|switch)\(/;
        $note->($n, 'no blank before {') if $line =~ /\)\{/;
        $note->($n, 'else is not on the line of the brace')
            if $line =~ /^\s*else\b/;
        $note->($n, 'no brace after else')
            if $line =~ /^[^#]*\belse\s*$/;
        $note->($n, 'no blank line before } else')
            if $line =~ /^\s*\} else\b/ && $i > 0 && $lines->[$i - 1] ne '';
        $note->($n, 'an operator ends a wrapped line')
            if $line =~ /(?:&&|\|\||[^'"] [-+|&?]|[=!]=)\s*\\?$/
               && $line !~ /^\s*#/;
        $note->($n, 'the brace of a function is not on its own line')
            if $line =~ /^[a-z]\w*[\w\s*]*\(.*\)\s*\{\s*$/;
        $note->($n, 'assert')
            if $line =~ /\bassert\s*\(|^#\s*include\s*<assert\.h>/;
        $note->($n, "banned call: $line") if $line =~ $BANNED;
        $note->($n, 'heap on a floor that has none')
            if $line =~ $HEAP && !may_use_heap($path);
    }

    return;
}


# Floors 0, 3 and 4 allocate from pools or not at all; tests and programs do
# as they like.

sub may_use_heap {
    my ($path) = @_;

    return 1 if $path =~ m{^t/|^shared/store/|/ngx_mesh_job\.c$};
    return 1 if $path =~ m{^modules/(?:mesh|meshd)/};
    return 0 if $path =~ m{^modules/|/ngx_};

    require Mesh::Layers;

    return Mesh::Layers::floor_of($path) == 1;
}


# A condition is followed by a brace, on its last line or alone on the next.

sub check_bodies {
    my ($note, $code) = @_;

    for my $i (0 .. $#$code) {
        my ($lead, $rest)
            = $code->[$i] =~ /^((?:\s*\} else )?\s*(?:if|for|while) )(\(.*)$/
            or next;
        my $depth = 0;
        my $after = '';

        for (my $j = $i; $j <= $#$code && $j < $i + 40; $j++) {
            my $part = $j == $i ? $rest : $code->[$j];
            my $at = closing($part, \$depth);

            next if $depth > 0;

            $after = substr $part, $at;
            $after .= $code->[$j + 1] // '' if $after =~ /^\s*\\?\s*$/;
            last;
        }

        $note->($i + 1, 'no brace after a condition')
            unless $after =~ /^\s*\\?\s*\{/;
    }

    return;
}


# Where the parentheses that are open close in this part.

sub closing {
    my ($part, $depth) = @_;

    while ($part =~ /([()])/g) {
        $$depth += $1 eq '(' ? 1 : -1;
        return pos $part if $$depth == 0;
    }

    return length $part;
}


# Two blank lines between functions, types and what else stands at the top.

sub check_gaps {
    my ($note, $code, $lines) = @_;

    for my $i (0 .. $#$code - 1) {
        next unless $code->[$i] =~ /^\}(?:\s*$|[^;]*;|\s+__attribute__)/;

        my $next = $i + 1;
        $next++ while $next <= $#$lines && $lines->[$next] eq '';

        next if $next > $#$lines;
        next if $lines->[$next] =~ /^#|^\}/;

        my $small = $code->[$i] !~ /^\}\s*$/;

        $note->($i + 2, 'not two blank lines after a block')
            if !$small && $next - $i != 3
               || $small && $next - $i < 2;
    }

    return;
}


sub check_functions {
    my ($note, $nouns, $f, $code, $lines) = @_;

    my $n = $f->{line} + 1;
    my $size = $f->{end} - $f->{line} + 1;
    my $from = $f->{head} > 8 ? $f->{head} - 8 : 0;
    my $around = join "\n", @$lines[$from .. $f->{end}];
    my $max = $around =~ /\blong: \S/ ? LONG_FUNCTION_MAX
                                      : FUNCTION_LINES_MAX;

    $note->($n, "$f->{name} has $size lines (long: reason, up to "
                . LONG_FUNCTION_MAX . ')')
        if $size > $max;
    $note->($n, "the return type of $f->{name} is not on its own line")
        if $code->[$f->{line}] !~ /^\Q$f->{name}\E\s*\(/;
    $note->($n, "$f->{name} takes more than " . PARAMETERS_MAX
                . ' (wide: reason, where a library wants it)')
        if parameters($f->{text}) > PARAMETERS_MAX
           && $around !~ /\bwide: \S/;
    $note->($n, "$f->{name}: not the verb of an act ($1)")
        if bare_name($f->{name}, $nouns) =~ $VAGUE;

    check_jumps($note, $f, $code);

    return;
}


sub parameters {
    my ($head) = @_;

    my ($list) = $head =~ /\w\s*\((.*)\)/ or return 0;
    my $depth = 0;
    my $n = $list =~ /\S/ ? 1 : 0;

    for my $char ($list =~ /([(),])/g) {
        $depth += $char eq '(' ? 1 : $char eq ')' ? -1 : 0;
        $n++ if $char eq ',' && $depth == 0;
    }

    return $n;
}


# Exported functions everywhere, and static ones in nginx files, start with
# the stem of the file, or with a noun that it declares as a type.

sub check_stems {
    my ($note, $path, $nouns, $functions) = @_;

    return if $path =~ m{^t/};

    my $is_bare = $path =~ m{/(?!ngx_)[^/]+\.c$};

    for my $f (@$functions) {
        next if $f->{name} eq 'main';
        next if $is_bare && $f->{text} =~ /^\s*static\b/;

        $note->($f->{line} + 1,
                "$f->{name} does not carry the name of its file")
            unless carries_noun($f->{name}, $nouns);
    }

    return;
}


sub nouns {
    my ($path, $text) = @_;

    my ($stem) = $path =~ m{([^/]+?)(?:_module)?\.[ch]$};

    return ($stem, 'ngx_mesh_published', $text =~ /^\} (\w+)_t;/mg);
}


# What a function does, without the name of its file.

sub bare_name {
    my ($name, $nouns) = @_;

    my ($stem) = $nouns->[0];

    return $name =~ s/^\Q$stem\E(?=_)//r;
}


sub carries_noun {
    my ($name, $nouns) = @_;

    return scalar grep { $name =~ /^\Q$_\E(?:_|$)/ } @$nouns;
}


sub check_jumps {
    my ($note, $f, $code) = @_;

    my %label;

    for my $i ($f->{brace} .. $f->{end}) {
        $label{$1} = $i if $code->[$i] =~ /^(\w+):\s*$/;

        $note->($i + 1, "goto $1 jumps backwards")
            if $code->[$i] =~ /\bgoto\s+(\w+)/ && exists $label{$1};
    }

    return;
}


# Words of the glossary's right column, in names that are declared here.

sub check_names {
    my ($note, $code, $lines) = @_;

    for my $i (0 .. $#$code) {
        my $line = $code->[$i];
        my @names;

        push @names, $1
            if $line =~ /^\s+[\w\s]*\w\s\s+\**(\w+)(?:\[.*\])?[;,]/;
        push @names, $1 if $line =~ /^(\w+)\s*\(/;
        push @names, $1 if $line =~ /^#\s*define\s+(\w+)/;
        push @names, $1 if $line =~ /\b(\w+_[ts])\b\s*(?:;|\{)/;
        push @names, $1 if $line =~ /\bngx_string\("/
                           && $lines->[$i] =~ /^\s+\{ ngx_string\("([\w]+)"\)/;

        for my $name (@names) {
            $note->($i + 1, "\"$name\": the glossary has another word")
                if lc $name =~ $FOREIGN;
        }
    }

    return;
}


# What a header promises is said above it.  A line may speak for several
# prototypes that follow one another without a blank line.

sub check_prototypes {
    my ($note, $nouns, $code, $lines) = @_;

    for my $i (0 .. $#$code) {
        my ($name) = $code->[$i] =~ /^(?!typedef|static|extern|\#|return)
                                     [a-z][\w\s*]*?\b(\w+)\(/x or next;

        my $text = '';
        for (my $j = $i; $j <= $#$code && $j < $i + 12; $j++) {
            $text .= " $code->[$j]";
            last if $code->[$j] =~ /[;{]\s*$/;
        }

        next unless $text =~ /\)\s*;\s*$/;
        next if $text =~ /\(\*/ && $text !~ /\w\s*\*?\w+\(/;

        $note->($i + 1, "$name() has no comment in its header")
            unless is_explained($i - 1, $lines);
        $note->($i + 1, "$name() does not carry the name of its file")
            unless carries_noun($name, $nouns);
        $note->($i + 1, "$name() takes more than " . PARAMETERS_MAX)
            if parameters($text) > PARAMETERS_MAX;
    }

    return;
}


# A comment stands above the line, in the same paragraph; or it opens the
# paragraph before, which is of a limit or a type that belongs to it.

sub is_explained {
    my ($i, $lines) = @_;

    my $end = qr{\*/\s*$};

    $i-- while $i >= 0 && $lines->[$i] ne '' && $lines->[$i] !~ $end;

    return 0 if $i < 1;
    return 1 if $lines->[$i] =~ $end;
    return 0 if $lines->[$i - 1] !~ /^#\s*define|^\} \w+_t;|^typedef/;

    $i--;
    $i-- while $i >= 0 && $lines->[$i] ne '' && $lines->[$i] !~ m{^/\*};

    return $i >= 0 && $lines->[$i] =~ m{^/\*} ? 1 : 0;
}


# Shell, Perl, make and configuration files.

sub check_script {
    my ($path, $text) = @_;

    my @lines = split /\n/, $text;
    my @found;

    my $note = sub { push @found, "$path:$_[0]: $_[1]" };
    my $head = $text =~ s/\A#!.*\n//r;

    if ($path =~ /\.pm$/) {
        $head =~ s/\Apackage [\w:]+;\n\n//;
    }

    $note->(1, 'the file does not open with the licence header')
        if index($head, $HEADER_SCRIPT) != 0;

    for my $i (0 .. $#lines) {
        $note->($i + 1, 'more than ' . COLUMNS_MAX . ' columns')
            if columns($lines[$i]) > COLUMNS_MAX;
        $note->($i + 1, 'a tab')
            if $lines[$i] =~ /\t/ && $path !~ /\.mk$/;
        $note->($i + 1, 'a blank at the end') if $lines[$i] =~ /\s$/;
    }

    check_test($note, \@lines) if $path =~ /\.t$/;

    return @found;
}


# A test says why it is there, is short, and waits for conditions only.

sub check_test {
    my ($note, $lines) = @_;

    my @head = grep { !/^#!/ } @$lines[0 .. ($#$lines < 9 ? $#$lines : 9)];
    my $purpose = join "\n", @head;

    $note->(1, 'the test does not say what it is for')
        if $purpose !~ /AGPL-3\.0-only\n\n# \S.*/;
    $note->(scalar @$lines, 'more than ' . TEST_LINES_MAX . ' lines')
        if @$lines > TEST_LINES_MAX;

    for my $i (0 .. $#$lines) {
        # a loop of a shell that waits for a condition has no other way

        $note->($i + 1, 'a sleep')
            if $lines->[$i] !~ /\buntil\b/
               && $lines->[$i] =~ /^(?!\s*[#]).*\b(?:(?:u|nano)?sleep\s*[(\d]
                                |select\s*\(?\s*undef)/x;
    }

    return;
}


1;
