package Mesh::Test::DocsModel;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Random documents and filters, and what the filters mean, told by plain Perl:
# a second reading of the storage API's filters.
#
#     my $doc = document();                  # { path => value }
#     json($doc);                            # its text
#     my ($json, $code) = filter(0);         # a filter, and $code->($doc)
#     sort_compare($doc->{a}, $other->{a});  # as a sort by "a" would
#
# A value is [ rank, what is compared, JSON ].

use strict;
use warnings;

use Encode ();
use Exporter qw(import);
use JSON::PP ();

use constant CUT => 112;        # bytes of a string that sort

our @EXPORT_OK = qw(@FIELDS value document json filter sort_compare);

our @FIELDS = qw(a b c o.x o.y);

my $long = 'long' x 30;

my @STRINGS = ('', 'a', 'ab', 'abc', 'b', "\x{e9}", "\x{20ac}", "\x{1f600}",
               '"quoted"', "tab\t", 'z' x 111, 'z' x 112, 'z' x 113,
               "${long}1", "${long}2", 'A', '1', 'null');
my @NUMBERS = qw(0 -0 1 2 3 1.0 1.5 -1 -1.5 1e3 1000 1E-3 9007199254740993
                 9007199254740992 -1e300 1e300 0.1 12345678901234567890);


sub text {
    my ($s) = @_;

    my $json = JSON::PP->new->allow_nonref->utf8->encode("$s");

    $json =~ s/([a-z])/sprintf '\\u%04x', ord $1/e if rand() < 0.1;

    return [ 3, Encode::encode('UTF-8', $s), $json ];
}


sub scalar_value {
    my $kind = rand;

    return [ 0, 0, 'null' ] if $kind < 0.08;
    return [ 1, 0, 'false' ] if $kind < 0.14;
    return [ 1, 1, 'true' ] if $kind < 0.2;
    return text($STRINGS[ rand @STRINGS ]) if $kind < 0.5;

    my $n = $NUMBERS[ rand @NUMBERS ];

    # as a double, whatever Perl makes of it

    return [ 2, unpack('d', pack 'd', $n), $n ];
}


sub value {
    my $kind = rand;

    return undef if $kind < 0.15;
    return [ 4, 0, '[1,"a"]' ] if $kind < 0.2;
    return scalar_value();
}


# A document: { path => value }; o is written as an object.

sub document {
    my %doc = map { ($_ => value()) } @FIELDS;

    delete $doc{$_} for grep { !defined $doc{$_} } @FIELDS;
    return \%doc;
}


sub json {
    my ($doc) = @_;

    my @plain = map { qq("$_":$doc->{$_}[2]) }
                grep { defined $doc->{$_} } qw(a b c);
    my @inner = map { qq("$_":) . $doc->{"o.$_"}[2] }
                grep { defined $doc->{"o.$_"} } qw(x y);

    push @plain, '"o":{' . join(',', @inner) . '}' if @inner;
    return '{' . join(',', @plain) . '}';
}


sub compare {
    my ($x, $y) = @_;

    return $x->[0] <=> $y->[0]
           || ($x->[0] == 3 ? $x->[1] cmp $y->[1] : $x->[1] <=> $y->[1]);
}


# What sorts: absent, scalars, the rest; strings by their beginning.

sub sort_compare {
    my ($x, $y) = @_;

    my @k = map { !defined $_ ? [ -1, 0 ]
                  : $_->[0] == 3 ? [ 3, substr($_->[1], 0, CUT)
                                        . (length $_->[1] > CUT ? "\xff"
                                           : '') ]
                  : $_ } ($x, $y);

    return compare(@k);
}


my %TERM = (
    eq  => sub { $_[0] == 0 }, lt  => sub { $_[0] < 0 },
    lte => sub { $_[0] <= 0 }, gt  => sub { $_[0] > 0 },
    gte => sub { $_[0] >= 0 },
);


# A random filter: (JSON, code).

sub filter {
    my ($depth) = @_;

    my (@json, @code, %seen);

    for (0 .. rand 3) {
        my $kind = rand;

        if ($kind < 0.25 && $depth < 4) {
            my ($json, $code) = group($depth + 1);

            next if $seen{ $json =~ /^"(\w+)"/ && $1 }++;
            push @json, $json;
            push @code, $code;
            next;
        }

        my $field = $FIELDS[ rand @FIELDS ];

        next if $seen{$field}++;

        my ($json, $code) = term($field);

        push @json, qq("$field":$json);
        push @code, $code;
    }

    return filter($depth) unless @json;
    return ('{' . join(',', @json) . '}', sub {
        my ($doc) = @_;

        $_->($doc) || return 0 for @code;
        return 1;
    });
}


sub group {
    my ($depth) = @_;

    my $op = (qw(and or not))[ rand 3 ];

    if ($op eq 'not') {
        my ($json, $code) = filter($depth);

        return (qq("not":$json), sub { !$code->(@_) });
    }

    my (@json, @code);

    for (0 .. rand 2) {
        my ($json, $code) = filter($depth);

        push @json, $json;
        push @code, $code;
    }

    return (qq("$op":[) . join(',', @json) . ']', sub {
        my ($doc) = @_;
        my $n = grep { $_->($doc) } @code;

        return $op eq 'and' ? $n == @code : $n > 0;
    });
}


sub term {
    my ($field) = @_;

    my $kind = rand;

    if ($kind < 0.08) {
        my $want = rand() < 0.5;

        return ('{"exists":' . ($want ? 'true' : 'false') . '}',
                sub { defined($_[0]{$field}) == $want });
    }

    if ($kind < 0.18) {
        my $s = text($STRINGS[ rand @STRINGS ]);
        my $p = Encode::decode('UTF-8', $s->[1]);

        $p = substr $p, 0, rand(1 + length $p);
        $s = text($p);

        return (qq({"prefix":$s->[2]}), sub {
            my $v = $_[0]{$field} || return 0;

            return $v->[0] == 3
                   && substr($v->[1], 0, length $s->[1]) eq $s->[1];
        });
    }

    if ($kind < 0.3) {
        my @in = map { scalar_value() } 0 .. rand 5;

        return ('{"in":[' . join(',', map { $_->[2] } @in) . ']}', sub {
            my $v = $_[0]{$field} || return 0;

            return $v->[0] < 4
                   && scalar grep { compare($v, $_) == 0 } @in;
        });
    }

    my @ops = $kind < 0.6 ? 'eq' : $kind < 0.65 ? 'ne'
            : $kind < 0.85 ? (qw(lt lte gt gte))[ rand 4 ]
            : ((qw(lt lte))[ rand 2 ], (qw(gt gte))[ rand 2 ]);
    my @values = map { scalar_value() } @ops;

    return ('{' . join(',', map { qq("$ops[$_]":$values[$_][2]) } 0 .. $#ops)
            . '}', sub {
        my $v = $_[0]{$field};

        for my $i (0 .. $#ops) {
            my $scalar = $v && $v->[0] < 4;

            return !$scalar || compare($v, $values[$i]) != 0
                if $ops[$i] eq 'ne';
            return 0 unless $scalar
                            && $TERM{ $ops[$i] }->(compare($v, $values[$i]));
        }

        return 1;
    });
}


1;
