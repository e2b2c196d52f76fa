package Mesh::Test::Reply;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# What a server answered: bytes, and the HTTP response that they are.

use strict;
use warnings;

use JSON::PP ();


sub new {
    my ($class, $bytes, %opt) = @_;

    my $self = bless { raw => $bytes, headers => [], status => 0, %opt },
               $class;

    my ($head, $rest) = $bytes =~ /\A(.*?)\r\n\r\n(.*)\z/s
        or return $self;

    my ($line, @lines) = split /\r\n/, $head;

    ($self->{status}) = $line =~ m{^HTTP/1\.[01] (\d{3})};
    $self->{status} //= 0;

    push @{ $self->{headers} }, [ /^([^:]+):\s*(.*?)\s*\z/ ] for @lines;

    $self->{rest} = $rest;

    return $self;
}


# How many more bytes belong to the response that starts these: undef when
# only the end of the connection can tell.  The part that came is enough when
# the answer is 0.

sub missing {
    my ($self) = @_;

    return undef unless defined $self->{rest};
    return 0 if $self->{no_body} || $self->{status} =~ /^(?:1..|204|304)$/;

    if (lc($self->header('Transfer-Encoding') // '') eq 'chunked') {
        return $self->{rest} =~ /(?:\A|\r\n)0\r\n\r\n\z/ ? 0 : undef;
    }

    my $length = $self->header('Content-Length');

    return undef unless defined $length;
    return $length > length $self->{rest} ? $length - length $self->{rest} : 0;
}


sub raw    { return $_[0]->{raw} }
sub status { return $_[0]->{status} }


# The first header of that name, without regard to case.

sub header {
    my ($self, $name) = @_;

    return ($self->headers($name))[0];
}


sub headers {
    my ($self, $name) = @_;

    return map { $_->[1] } grep { lc $_->[0] eq lc $name }
           @{ $self->{headers} };
}


sub body {
    my ($self) = @_;

    my $rest = $self->{rest} // '';

    return $rest
        if lc($self->header('Transfer-Encoding') // '') ne 'chunked';

    my $body = '';

    while ($rest =~ s/\A([0-9a-fA-F]+)[^\r\n]*\r\n//) {
        my $size = hex $1 or last;

        $body .= substr $rest, 0, $size;
        $rest = length $rest > $size + 2 ? substr $rest, $size + 2 : '';
    }

    return $body;
}


# The body as JSON; undef when it is not.

sub json {
    my ($self) = @_;

    return scalar eval { JSON::PP->new->utf8->decode($self->body) };
}


1;
