package Mesh::Test::Schema;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# As much of JSON Schema (2020-12) as conf/protocol.json uses.
#
#     my $schema = Mesh::Test::Schema->new("$top/conf/protocol.json");
#
#     my @faults = $schema->faults('server', $frame);
#
# A keyword that it does not know is an error of the schema: nothing is
# passed because it was not understood.

use strict;
use warnings;

use B ();
use JSON::PP ();

my %known = map { $_ => 1 } qw($ref const enum type required properties items
    pattern minLength maxLength minimum maximum oneOf description);


sub new {
    my ($class, $path) = @_;

    open my $file, '<:raw', $path or die "$path: $!\n";
    local $/;

    return bless { root => JSON::PP->new->utf8->decode(<$file>) }, $class;
}


# What is wrong with a value of $defs/<name>, as sentences.

sub faults {
    my ($self, $name, $value) = @_;

    my $schema = $self->{root}{'$defs'}{$name} or die "no \"$name\"\n";

    return $self->check($schema, $value, '$');
}


# The names that "oneOf" of $defs/<name> refers to.

sub alternatives {
    my ($self, $name) = @_;

    return map { (split m{/}, $_->{'$ref'})[-1] }
           @{ $self->{root}{'$defs'}{$name}{oneOf} };
}


sub check {
    my ($self, $schema, $value, $at) = @_;

    my @unknown = grep { !$known{$_} } keys %$schema;
    die "the schema has @unknown\n" if @unknown;

    if (my $ref = $schema->{'$ref'}) {
        my ($name) = $ref =~ m{^#/\$defs/(\w+)$} or die "no $ref\n";
        return $self->check($self->{root}{'$defs'}{$name}, $value, $at);
    }

    my $type = type_of($value);
    my $want = $schema->{type};

    return "$at is $type, not $want"
        if $want && $type ne $want
           && !($want eq 'number' && $type eq 'integer');

    my @faults;

    push @faults, "$at is not what it must be"
        if exists $schema->{const} && !same($schema->{const}, $value);
    push @faults, "$at is none of the values"
        if $schema->{enum} && !grep { same($_, $value) } @{ $schema->{enum} };

    push @faults, $self->check_text($schema, $value, $at)
        if $type eq 'string';
    push @faults, $self->check_object($schema, $value, $at)
        if $type eq 'object';

    if ($type eq 'integer' || $type eq 'number') {
        push @faults, "$at is too small"
            if exists $schema->{minimum} && $value < $schema->{minimum};
        push @faults, "$at is too large"
            if exists $schema->{maximum} && $value > $schema->{maximum};
    }

    if ($type eq 'array' && $schema->{items}) {
        push @faults, map { $self->check($schema->{items}, $value->[$_],
                                         "$at\[$_]") } 0 .. $#$value;
    }

    push @faults, $self->check_one($schema->{oneOf}, $value, $at)
        if $schema->{oneOf};

    return @faults;
}


sub check_text {
    my ($self, $schema, $value, $at) = @_;

    my @faults;

    push @faults, "$at does not match"
        if exists $schema->{pattern} && $value !~ /$schema->{pattern}/;
    push @faults, "$at is too short"
        if exists $schema->{minLength}
           && length $value < $schema->{minLength};
    push @faults, "$at is too long"
        if exists $schema->{maxLength}
           && length $value > $schema->{maxLength};

    return @faults;
}


sub check_object {
    my ($self, $schema, $value, $at) = @_;

    my $properties = $schema->{properties} || {};

    return (
        (map { "$at.$_ is missing" } grep { !exists $value->{$_} }
         @{ $schema->{required} || [] }),
        (map { $self->check($properties->{$_}, $value->{$_}, "$at.$_") }
         grep { exists $value->{$_} } sort keys %$properties),
    );
}


sub check_one {
    my ($self, $schemas, $value, $at) = @_;

    my @all = map { [ $self->check($_, $value, $at) ] } @$schemas;
    my $matches = grep { !@$_ } @all;

    return if $matches == 1;
    return "$at is $matches of the alternatives" if $matches;

    # the closest: the one that has this type

    my ($near) = sort { @$a <=> @$b } @all;

    return "$at is none of the alternatives: @$near";
}


sub type_of {
    my ($value) = @_;

    return 'null' if !defined $value;
    return 'object' if ref $value eq 'HASH';
    return 'array' if ref $value eq 'ARRAY';
    return 'boolean' if JSON::PP::is_bool($value);

    my $flags = B::svref_2object(\$value)->FLAGS;

    return 'string' if $flags & B::SVf_POK();
    return $value == int $value ? 'integer' : 'number';
}


sub same {
    my ($a, $b) = @_;

    return 0 if type_of($a) ne type_of($b);
    return !$a == !$b if type_of($a) eq 'boolean';
    return $a eq $b;
}


1;
