package Mesh::Layers;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The floors of the tree, as rules over #include lines and a few calls: code
# uses its own floor and those below, never above, never sideways.

use strict;
use warnings;

use Mesh::Style;

my $CODECS = qr/^(?:bytes|base32|base58|base64|varint|utf8|cbor|json_\w+
                |sha1|ring|timestamp)$/x;

# headers of libc for code that touches no file, clock or socket

my $PURE = qr/^(?:stddef|stdint|stdbool|stdarg|string|limits|inttypes|float
              |math|stdatomic|stdlib)\.h$/x;

# Who may include which header that is not ours; one line a library.

my @LIBRARIES = (
    [ qr/^sodium/    => sub { $_[0] == 1 || $_[0] >= 2 } ],
    [ qr/^openssl\// => sub { $_[1] =~ /^(?:digest|signature\w*)\.c$/ } ],
    [ qr/^zlib/      => sub { $_[1] eq 'ucan_container.c' } ],
    [ qr/^sqlite3/   => sub { $_[0] == 2 } ],
    [ qr/^(?:mongoc|bson)\b/ => sub { $_[0] == 2 } ],
    [ qr/^pthread/   => sub { $_[0] == 2 || $_[0] eq 5 } ],
    [ qr/^hiredis/   => sub { $_[1] =~ /^ngx_mesh_redis\.[ch]$/ } ],
    [ qr/^jansson/   => sub { $_[0] == 4 || $_[0] == 5 } ],
    [ qr/^curl\//    => sub { $_[0] == 5 } ],
    [ qr/^ngx_/      => sub { $_[0] == 3 || $_[0] == 4 } ],
);


# 0 codecs, 1 formats, 2 store, 3 glue, 4 modules, 5 programs; undef for what
# is on no floor (tests).

sub floor_of {
    my ($path) = @_;

    my ($stem) = $path =~ m{([^/]+)\.[ch]$} or return undef;

    return 2 if $path =~ m{^shared/store/};
    return 3 if $path =~ m{^shared/ngx_};
    return $stem =~ $CODECS ? 0 : 1 if $path =~ m{^shared/};
    return 5 if $path =~ m{^modules/(?:mesh|meshd)/};
    return 4 if $path =~ m{^modules/};

    return undef;
}


# What is wrong with one file; "ours" maps the bare name of each of our
# headers to its path.

sub check {
    my ($path, $text, $ours) = @_;

    my $floor = floor_of($path);
    my ($file) = $path =~ m{([^/]+)$};
    my @found;

    return unless defined $floor;

    my @code = split /\n/, Mesh::Style::blank_comments($text);
    my @lines = split /\n/, $text;

    for my $i (0 .. $#lines) {
        my $note = sub { push @found, "$path:" . ($i + 1) . ": $_[0]" };

        if ($code[$i] !~ /\S/) {
            next;
        }

        if (my ($header) = $lines[$i] =~ /^#\s*include\s*["<]([^">]+)[">]/) {
            my ($base) = $header =~ m{([^/]+)$};

            if (exists $ours->{$base}) {
                check_ours($note, $path, $floor, $ours->{$base});

            } else {
                check_library($note, $floor, $file, $header);
            }

            next;
        }

        check_calls($note, $floor, $path, $code[$i]);
    }

    return @found;
}


sub check_ours {
    my ($note, $path, $floor, $header) = @_;

    my $other = floor_of($header);
    my ($folder) = $path =~ m{^(.*)/};
    my ($theirs) = $header =~ m{^(.*)/};

    return $note->("$header is a test's") unless defined $other;
    return if $folder eq $theirs && $other == $floor;

    my $types = $header eq 'shared/store/store.h';
    my $store = $path =~ m{^modules/storage/};

    my $may = $floor <= 2 ? $other <= $floor
            : $floor == 3 ? $other <= 1 || $other == 3 || $types
            : $floor == 4 ? $other <= 1 || $other == 3 || $types
                            || $store && $other == 2
            : $other <= 2;

    $note->("floor $floor includes $header of floor $other") unless $may;

    return;
}


sub check_library {
    my ($note, $floor, $file, $header) = @_;

    for my $rule (@LIBRARIES) {
        next unless $header =~ $rule->[0];

        $note->("$header may not be included here")
            unless $rule->[1]->($floor, $file);
        return;
    }

    $note->("floor $floor includes $header")
        if $floor <= 1 && $header !~ $PURE;

    return;
}


sub check_calls {
    my ($note, $floor, $path, $line) = @_;

    $note->('a clock below the store')
        if $floor <= 1
           && $line =~ /\b(?:time|gettimeofday|clock_gettime)\s*\(/;
    $note->('a variable that outlives the call on floor 0')
        if $floor == 0
           && $line =~ /^static\s+(?!const\b|inline\b)[^()]*(?:=|;)/;
    $note->('a version of nginx outside ngx_mesh_compat.h')
        if $line =~ /^#.*\bnginx_version\b/
           && $path ne 'shared/ngx_mesh_compat.h';

    return;
}


1;
