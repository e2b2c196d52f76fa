package Mesh::Test::Command;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The mesh command in a scratch folder of its own.
#
#     my $at = Mesh::Test::Command->new;
#
#     my $did = $at->mesh('key', 'new', 'ada.key');
#     $at->save('ada.delegations', $at->mesh('delegate', ...));
#     is($at->rc, 0, ...);
#     $at->json('inspect', 'ada.delegations')->{tokens};
#
# Programs run in that folder, which goes with the object.

use strict;
use warnings;

use Cwd ();
use File::Temp ();
use JSON::PP ();

use Mesh::Test;


sub new {
    my ($class) = @_;

    my ($rc, $text) = Mesh::Test->build('mesh');
    die "the mesh command cannot be built:\n$text" if $rc != 0;

    my $self = bless { folder => File::Temp->newdir }, $class;

    chdir $self->{folder} or die "$self->{folder}: $!";

    return $self;
}


# One run; gives back what it printed, without its line feed.  A leading hash
# may hold "stdin".

sub mesh {
    my ($self, @args) = @_;
    my $opt = ref $args[0] ? shift @args : {};

    ($self->{rc}, $self->{out}, $self->{err}) = Mesh::Test::run(
        [ Mesh::Test->output_folder . '/mesh', @args ], %$opt,
        env => Mesh::Test->sanitizer_options);

    return $self->{out} =~ s/\n\z//r;
}


sub json {
    my ($self, @args) = @_;

    return JSON::PP::decode_json($self->mesh(@args, '--json'));
}


# Of the last run.

sub rc  { return $_[0]->{rc} }
sub out { return $_[0]->{out} }
sub err { return $_[0]->{err} }


# A file of the folder; gives back its name.

sub save {
    my ($self, $name, $content) = @_;

    open my $file, '>:raw', $name or die "$name: $!";
    print $file $content;
    close $file or die "$name: $!";

    return $name;
}


# "accepted: ok", "refused: token-expired": the verdict on tokens.

sub verdict {
    my ($self, @args) = @_;
    my $answer = $self->json('verify', @args);

    return ($self->rc == 0 ? 'accepted' : 'refused')
           . ": $answer->{verdict}";
}


# The folder cannot go while somebody is in it.

END { chdir '/' }


1;
